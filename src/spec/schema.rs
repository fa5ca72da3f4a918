//! The JSON schema of `seedkit.yaml`, generated from the types that read it.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use super::raw::RawSpec;

/// Returns the JSON schema (draft 2020-12) of `seedkit.yaml`, indented, with a line end.
pub fn json() -> String {
    let mut text =
        serde_json::to_string_pretty(&value()).expect("a schema is made of strings and numbers only");
    text.push('\n');
    text
}

/// Returns the JSON schema of `seedkit.yaml` as a value.
pub(super) fn value() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(refuse_null));
    SchemaGenerator::new(settings).into_root_schema_for::<RawSpec>().to_value()
}

/// Takes `null` out of optional fields: a key without a value is a mistake, not a way to leave it out.
fn refuse_null(schema: &mut Schema) {
    let is_null = |value: &Value| value == "null" || value.get("type").is_some_and(|kind| kind == "null");
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| !is_null(kind));
        if let [single] = types.as_slice() {
            let single = single.clone();
            schema.insert("type".to_owned(), single);
        }
    }
    let Some(Value::Array(alternatives)) = schema.get_mut("anyOf") else { return };
    alternatives.retain(|alternative| !is_null(alternative));
    if let [Value::Object(single)] = alternatives.as_slice() {
        let single = single.clone();
        schema.remove("anyOf");
        for (key, value) in single {
            schema.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use fs_err as fs;

    use super::*;

    #[test]
    fn the_committed_schema_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/seedkit.schema.json");
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == json(), "regenerate it: cargo run -- schema > docs/seedkit.schema.json");
    }

    #[test]
    fn nothing_in_the_schema_may_be_null() {
        assert!(!json().contains("\"null\""));
    }

    #[test]
    fn the_schema_says_nothing_that_our_own_check_does_not_understand() {
        const KNOWN: [&str; 16] = [
            "$defs",
            "$ref",
            "$schema",
            "additionalProperties",
            "const",
            "description",
            "enum",
            "format",
            "items",
            "maximum",
            "minimum",
            "oneOf",
            "properties",
            "required",
            "title",
            "type",
        ];
        fn unknown(schema: &Value, found: &mut Vec<String>) {
            let Some(object) = schema.as_object() else { return };
            for (keyword, value) in object {
                match keyword.as_str() {
                    "properties" | "$defs" => {
                        value.as_object().unwrap().values().for_each(|schema| unknown(schema, found))
                    }
                    "oneOf" => value.as_array().unwrap().iter().for_each(|schema| unknown(schema, found)),
                    "items" | "additionalProperties" => unknown(value, found),
                    keyword if KNOWN.contains(&keyword) => {}
                    keyword => found.push(keyword.to_owned()),
                }
            }
        }
        let mut found = Vec::new();
        unknown(&value(), &mut found);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn every_field_is_documented() {
        fn undocumented(schema: &Value, place: &str, found: &mut Vec<String>) {
            for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                if property.get("description").is_none() {
                    found.push(format!("{place}.{name}"));
                }
            }
        }
        let schema = value();
        let mut found = Vec::new();
        undocumented(&schema, "Spec", &mut found);
        for (name, definition) in schema["$defs"].as_object().unwrap() {
            undocumented(definition, name, &mut found);
        }
        assert_eq!(found, Vec::<String>::new());
    }
}
