//! What failed while the rest was finished (`--keep-going`): a result, as the answer is no.

use serde::Serialize;

use crate::cli::Answer;
use crate::cli::session::Session;
use crate::cli::table::line;
use crate::fetch::failures::{Failure, Failures};

#[derive(Serialize)]
struct FailuresResult<'a> {
    failures: &'a [Failure],
}

/// Prints what failed and answers no; other errors, and other answers, pass.
pub(super) fn print(
    answer: anyhow::Result<Answer>,
    command: &str,
    session: &Session,
) -> anyhow::Result<Answer> {
    let error = match answer {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    let Some(Failures(failures)) = error.chain().find_map(|cause| cause.downcast_ref()) else {
        return Err(error);
    };
    let echo = session.console.echo();
    let clean = |Failure { kind, name, reasons }: &Failure| {
        let reasons = reasons.iter().map(|reason| echo.clean(reason)).collect();
        Failure { kind, name: name.clone(), reasons }
    };
    let failures: Vec<Failure> = failures.iter().map(clean).collect();
    session.show(command, &FailuresResult { failures: &failures }, |result| text(result.failures))?;
    Ok(Answer::No)
}

/// Each thing on a line of its own, with its reasons below.
fn text(failures: &[Failure]) -> String {
    let mut text = String::new();
    for Failure { kind, name, reasons } in failures {
        text += &line(&format!("failed: {kind} {name}"));
        for reason in reasons {
            text += &line(&format!("  because: {reason}"));
        }
    }
    text
}
