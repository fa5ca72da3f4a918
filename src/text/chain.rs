//! Errors with their causes.

use std::error::Error;

/// Returns what an error says, then what each cause below it says.
///
/// A transparent layer says what the one below it says; that is there once.
pub fn chain(error: &dyn Error) -> Vec<String> {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layered {
        #[error("bottom")]
        Bottom,
        #[error(transparent)]
        Transparent(Box<Layered>),
        #[error("top")]
        Top(#[source] Box<Layered>),
    }

    #[test]
    fn a_transparent_layer_is_not_said_twice() {
        let error = Layered::Top(Layered::Transparent(Layered::Bottom.into()).into());
        assert_eq!(chain(&error), ["top", "bottom"]);
    }
}
