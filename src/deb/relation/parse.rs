//! Reads relations.

use super::{
    Constraint, InvalidRelation, Operator, OrGroup, PackageRelation, Provided, Qualifier, Restriction,
};
use crate::deb::name::{excerpt, is_architecture, is_package};
use crate::deb::version::Version;

/// Reads a field whose groups may have alternatives: `Depends`, `Pre-Depends`, `Recommends`, `Suggests`.
pub fn parse_groups(field: &str) -> Result<Vec<OrGroup<'_>>, InvalidRelation> {
    groups(field).map(parse_group).collect()
}

/// Reads a field that has no alternatives: `Conflicts`, `Breaks`, `Replaces`, `Enhances`.
pub fn parse_list(field: &str) -> Result<Vec<PackageRelation<'_>>, InvalidRelation> {
    groups(field).map(parse_alternative).collect()
}

/// Reads the field `Provides`, whose versions can only be exact.
pub fn parse_provides(field: &str) -> Result<Vec<Provided<'_>>, InvalidRelation> {
    groups(field).map(parse_provided).collect()
}

fn groups(field: &str) -> impl Iterator<Item = &str> {
    field.split(',').map(str::trim_ascii).filter(|group| !group.is_empty())
}

fn parse_group(text: &str) -> Result<OrGroup<'_>, InvalidRelation> {
    let alternatives = text.split('|').map(parse_alternative).collect::<Result<_, _>>()?;
    Ok(OrGroup { alternatives })
}

fn parse_provided(text: &str) -> Result<Provided<'_>, InvalidRelation> {
    let PackageRelation { name, architecture, constraint, restrictions: _, profiles: _ } =
        parse_alternative(text)?;
    let version = match constraint {
        None => None,
        Some(Constraint { operator: Operator::Equal, version }) => Some(version),
        Some(_) => return Err(syntax(text, "what is provided has an exact version or none")),
    };
    Ok(Provided { name, architecture, version })
}

fn parse_alternative(text: &str) -> Result<PackageRelation<'_>, InvalidRelation> {
    let text = text.trim_ascii();
    let end =
        text.find(|next: char| next.is_ascii_whitespace() || "([<".contains(next)).unwrap_or(text.len());
    let (qualified, mut rest) = text.split_at(end);
    let (name, architecture) = parse_name(text, qualified)?;
    let mut relation = PackageRelation {
        name,
        architecture,
        constraint: None,
        restrictions: Vec::new(),
        profiles: Vec::new(),
    };
    if let Some(inside) = take_enclosed(text, &mut rest, ['(', ')'])? {
        relation.constraint = Some(parse_constraint(text, inside)?);
    }
    if let Some(inside) = take_enclosed(text, &mut rest, ['[', ']'])? {
        relation.restrictions = parse_restrictions(text, inside)?;
    }
    while let Some(inside) = take_enclosed(text, &mut rest, ['<', '>'])? {
        relation.profiles.push(parse_restrictions(text, inside)?);
    }
    if rest.trim_ascii().is_empty() { Ok(relation) } else { Err(syntax(text, "something follows it")) }
}

fn parse_name<'text>(
    text: &str,
    qualified: &'text str,
) -> Result<(&'text str, Option<Qualifier<'text>>), InvalidRelation> {
    let (name, qualifier) = match qualified.split_once(':') {
        None => (qualified, None),
        Some((name, "any")) => (name, Some(Qualifier::Any)),
        Some((name, "native")) => (name, Some(Qualifier::Native)),
        Some((name, architecture)) if is_architecture(architecture) => {
            (name, Some(Qualifier::Named(architecture)))
        }
        Some(_) => return Err(syntax(text, "what follows the colon is not an architecture")),
    };
    if is_package(name) { Ok((name, qualifier)) } else { Err(syntax(text, "expected the name of a package")) }
}

/// Cuts what `brackets` enclose off the beginning of `rest`, if it begins with them.
fn take_enclosed<'text>(
    text: &str,
    rest: &mut &'text str,
    [open, close]: [char; 2],
) -> Result<Option<&'text str>, InvalidRelation> {
    let Some(enclosed) = rest.trim_ascii_start().strip_prefix(open) else { return Ok(None) };
    let (inside, after) =
        enclosed.split_once(close).ok_or_else(|| syntax(text, "a bracket is not closed"))?;
    *rest = after;
    Ok(Some(inside))
}

fn parse_constraint<'text>(text: &str, inside: &'text str) -> Result<Constraint<'text>, InvalidRelation> {
    let (operator, version) = split_operator(inside.trim_ascii())
        .ok_or_else(|| syntax(text, "expected one of << <= = >= >> before the version"))?;
    let version =
        Version::parse(version).map_err(|source| InvalidRelation::Version(excerpt(text), source))?;
    Ok(Constraint { operator, version })
}

fn parse_restrictions<'text>(
    text: &str,
    inside: &'text str,
) -> Result<Vec<Restriction<'text>>, InvalidRelation> {
    let restriction = |term: &'text str| {
        let name = term.strip_prefix('!').unwrap_or(term);
        Restriction { name, is_excluded: name.len() < term.len() }
    };
    let restrictions: Vec<_> = inside.split_ascii_whitespace().map(restriction).collect();
    if restrictions.is_empty() || !restrictions.iter().all(|term| is_package(term.name)) {
        return Err(syntax(text, "expected names between the brackets"));
    }
    Ok(restrictions)
}

fn syntax(text: &str, reason: &'static str) -> InvalidRelation {
    InvalidRelation::Syntax(excerpt(text), reason)
}

/// Cuts an operator off the beginning of `text`; the longest one counts.
fn split_operator(text: &str) -> Option<(Operator, &str)> {
    // `<` and `>` mean "or equal": dpkg reads them so, for packages of the nineties.
    let spellings = [
        ("<<", Operator::Earlier),
        ("<=", Operator::EarlierOrEqual),
        (">=", Operator::LaterOrEqual),
        (">>", Operator::Later),
        ("=", Operator::Equal),
        ("<", Operator::EarlierOrEqual),
        (">", Operator::LaterOrEqual),
    ];
    spellings.into_iter().find_map(|(symbol, operator)| Some((operator, text.strip_prefix(symbol)?)))
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    fn printed<T: fmt::Display>(list: &[T]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn groups_keep_their_order_and_their_parts() {
        let field = "libc6 (>= 2.34), python3:any (<< 3.12) , a|b(=1:2-3)| c:amd64 (> 1),,\n libx (< 2),";
        let expected =
            ["libc6 (>= 2.34)", "python3:any (<< 3.12)", "a | b (= 1:2-3) | c:amd64 (>= 1)", "libx (<= 2)"];
        assert_eq!(printed(&parse_groups(field).unwrap()), expected);
        assert_eq!(parse_groups(" ").unwrap(), []);
    }

    #[test]
    fn lists_have_no_alternatives_and_provides_have_exact_versions() {
        assert_eq!(printed(&parse_list("a (<< 1), b").unwrap()), ["a (<< 1)", "b"]);
        assert_eq!(printed(&parse_provides("a (= 1), b").unwrap()), ["a (= 1)", "b"]);
        assert!(parse_list("a | b").is_err());
        assert!(parse_provides("a (>= 1)").is_err());
    }

    #[test]
    fn what_is_no_relation_is_refused_with_the_reason() {
        for (field, reason) in [
            ("a | ", "name of a package"),
            ("-a", "name of a package"),
            ("a/b", "name of a package"),
            ("a:../x", "not an architecture"),
            ("a (1)", "expected one of"),
            ("a (>= 1", "not closed"),
            ("a (>= 1) b", "something follows"),
            ("a (!= 1)", "expected one of"),
            ("a []", "between the brackets"),
            ("a [x;y]", "between the brackets"),
            ("${shlibs}", "name of a package"),
        ] {
            let message = parse_groups(field).unwrap_err().to_string();
            assert!(message.contains(reason), "{field}: {message}");
        }
        assert!(matches!(parse_groups("a (>= )"), Err(InvalidRelation::Version(..))));
    }
}
