use serde_json::json;

use super::*;

/// What spoils files that are put together without quoting.
const HOSTILE: [&str; 14] = [
    "한국어 텍스트",
    "it's \"quoted\" `here`",
    "$HOME ${HOME} $(id)",
    "# no comment",
    "two\nlines\n",
    "100% %h %%",
    "key: value",
    "back\\slash \\n \\",
    "{{ value }} {% if %}",
    " leading and trailing ",
    "- list",
    "no",
    "\u{7f}\u{85}\u{2028}\u{2029}\u{feff}\u{1}\u{1f680}",
    "",
];

fn templates(source: &str) -> Result<Templates, TemplateError> {
    Templates::new(BTreeMap::from([("x".to_owned(), source.to_owned())]))
}

fn render(source: &str, context: serde_json::Value) -> Result<String, TemplateError> {
    templates(source)?.render("x", &context)
}

/// Runs `program` with `input` and returns what it prints.
fn filtered_by(program: &str, arguments: &[&str], input: &str) -> String {
    use io::Write as _;
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("the oracle `{program}` does not start: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} refuses {input:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_compiled_in_templates_load() {
    assert_eq!(Templates::builtin().names().count(), BUILTIN.len());
}

#[test]
fn hostile_values_pass_through_json_into_yaml_intact() {
    let context =
        json!({"values": HOSTILE, "number": 3, "float": 1e300, "big": u64::MAX, "no": false, "nil": null});
    let source = "values: {{ values | json }}\nmap: {{ __tera_context | json }}\n{% for v in values %}- {{ v | json }}\n{% endfor %}";
    let source = source.replace("{% for", "list:\n{% for");
    let rendered = render(&source, context.clone()).unwrap();
    let program = "import sys, json, yaml; print(json.dumps(yaml.safe_load(sys.stdin.buffer.read())))";
    let read: serde_json::Value =
        serde_json::from_str(&filtered_by("/usr/bin/python3", &["-c", program], &rendered)).unwrap();
    assert_eq!(read["values"], json!(HOSTILE));
    assert_eq!(read["list"], json!(HOSTILE));
    for key in ["number", "float", "big", "no", "nil"] {
        assert_eq!(read["map"][key], context[key], "{key}");
    }
}

#[test]
fn hostile_values_pass_through_shell_into_words_intact() {
    for value in HOSTILE {
        let script = render("printf %s {{ v | shell }}", json!({"v": value})).unwrap();
        for shell in ["dash", "bash"] {
            assert_eq!(filtered_by(shell, &[], &script), value, "{shell}");
        }
    }
}

#[test]
fn hostile_values_pass_through_base64_intact() {
    for value in HOSTILE {
        let encoded = render("{{ v | base64 }}", json!({"v": value})).unwrap();
        assert_eq!(filtered_by("base64", &["-d"], &encoded), value);
    }
}

#[test]
fn systemd_words_follow_its_manual() {
    for (value, environment, command) in [
        ("plain", r#""plain""#, r#""plain""#),
        ("$a 100%", r#""$a 100%%""#, r#""$$a 100%%""#),
        ("\"\\\n\t\u{1}", r#""\"\\\n\t\x01""#, r#""\"\\\n\t\x01""#),
        ("한 글'#", r#""한 글'#""#, r#""한 글'#""#),
    ] {
        let rendered = render("{{ v | systemd }} {{ v | systemd(exec=true) }}", json!({"v": value})).unwrap();
        assert_eq!(rendered, format!("{environment} {command}"));
    }
}

#[test]
fn a_word_needs_no_quotes() {
    for value in ["k3s-1.lan", "fd00::1", "192.168.6.10/24"] {
        assert_eq!(render("{{ v | word }}", json!({"v": value})).unwrap(), value);
    }
    for value in ["", "two words", "a#b", "a$b", "a\nb", "한글", "a;b", "~"] {
        assert!(render("{{ v | word }}", json!({"v": value})).is_err(), "{value:?}");
    }
}

#[test]
fn an_undefined_variable_is_named_with_its_line() {
    for (source, line, variable) in [
        ("a\n{{ missing | json }}", 2, "missing"),
        ("\n\n{{ node.missing | shell }}", 3, "node.missing"),
        ("{{ node.missing.deeper | json }}", 1, "node.missing.deeper"),
        ("{{ missing.deeper | json }}", 1, "missing.deeper"),
        ("\n{% if missing %}x{% endif %}", 2, "missing"),
        ("{% if node.name == \"a\" and node.missing %}x{% endif %}", 1, "node.missing"),
        ("{% for item in missing %}x{% endfor %}", 1, "missing"),
        ("{% for item in list %}\n{{ itme | json }}{% endfor %}", 2, "itme"),
    ] {
        let error = render(source, json!({"node": {"name": "a"}, "list": [1]})).unwrap_err();
        assert_eq!(
            (error.line, error.variable.as_deref()),
            (Some(line), Some(variable)),
            "{source}: {error}"
        );
        assert_eq!(error.template, "x");
        assert!(error.to_string().contains(variable), "{error}");
    }
}

#[test]
fn what_is_asked_for_may_be_undefined() {
    let source = "{% if node.gpu is defined %}{% if node.gpu.count > 1 %}many{% endif %}{% endif %}\
                  {% for item in list %}{% if item %}{{ item | json }}{% endif %}{% endfor %}\
                  {{ missing | default(value=\"d\") | json }}";
    assert_eq!(render(source, json!({"node": {}, "list": [1]})).unwrap(), "1\"d\"");
}

#[test]
fn nothing_reaches_the_output_unquoted() {
    for source in [
        "{{ v }}",
        "a\n{{ v | safe }}",
        "{{ v | upper }}",
        "{% set x = v %}{{ x }}",
        "{{ 1 + 1 }}",
        "{{ v | safe | json }}",
        "{{ v | json | upper }}",
        "{% set x %}{{ v | json }}{% endset %}{{ x }}",
    ] {
        assert!(render(source, json!({"v": "a; b"})).is_err(), "{source}");
    }
}

#[test]
fn the_escape_function_refuses_what_the_scan_does_not_see() {
    let mut templates = templates("").unwrap();
    templates.tera.add_raw_template("x", "{{ v }}").unwrap();
    let error = templates.render("x", &json!({"v": "1"})).unwrap_err();
    assert_eq!(error.reason, scan::UNQUOTED);
}

#[test]
fn mistakes_are_found_when_a_template_is_loaded() {
    for (source, line) in [
        ("a\n{{ v }}", 2),
        ("a\n{{ v | nosuch | json }}", 2),
        ("a\nb\n{% if %}", 3),
        ("a\nhost: ${HOST}", 2),
        ("a\r\nb", 1),
        ("\u{feff}a", 1),
    ] {
        let error = templates(source).unwrap_err();
        assert_eq!((error.template.as_str(), error.line), ("x", Some(line)), "{source:?}: {error}");
    }
}

#[test]
fn maps_are_written_in_their_order() {
    let map = serde_json::from_str::<serde_json::Value>(r#"{"z": 1, "a": "0644", "m": [true]}"#).unwrap();
    let source = "{% for k, v in map %}{{ k | json }}: {{ v | json }};{% endfor %}{{ map | json }}";
    let rendered = render(source, json!({"map": map})).unwrap();
    assert_eq!(rendered, r#""z": 1;"a": "0644";"m": [true];{"z": 1, "a": "0644", "m": [true]}"#);
}

#[test]
fn output_without_end_is_refused() {
    let source =
        "{% for a in range(end=5000) %}{% for b in range(end=5000) %}xxxxxxxxxx{% endfor %}{% endfor %}";
    assert!(render(source, json!({})).unwrap_err().reason.contains("exceeds"));
}

mod overrides {
    use fs_err as fs;

    use super::*;

    fn folder_with(name: &str, content: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        folder
    }

    #[test]
    fn a_file_replaces_the_template_of_its_name() {
        let folder = folder_with("node/hosts.tera", "{{ v | word }}");
        let templates = Templates::with_overrides(folder.path()).unwrap();
        assert_eq!(templates.render("node/hosts.tera", &json!({"v": "mine"})).unwrap(), "mine");
    }

    #[test]
    fn a_file_that_replaces_nothing_is_named_with_what_there_is() {
        let folder = folder_with("node/host.tera", "");
        let message = Templates::with_overrides(folder.path()).unwrap_err().to_string();
        assert!(message.contains("`node/host.tera`") && message.contains("`node/hosts.tera`"), "{message}");
    }

    #[test]
    fn a_link_out_of_the_folder_is_refused() {
        let folder = folder_with("cloud-image/user-data.tera", "");
        fs::create_dir(folder.path().join("node")).unwrap();
        fs_err::os::unix::fs::symlink("/etc/hostname", folder.path().join("node/hosts.tera")).unwrap();
        let error = Templates::with_overrides(folder.path()).unwrap_err();
        assert!(matches!(error, OverrideError::Outside(..)), "{error}");
    }

    #[test]
    fn a_huge_file_is_refused_before_it_is_read() {
        let folder = folder_with("node/hosts.tera", "");
        fs::OpenOptions::new()
            .write(true)
            .open(folder.path().join("node/hosts.tera"))
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        let error = Templates::with_overrides(folder.path()).unwrap_err();
        assert!(matches!(error, OverrideError::TooLarge(..)), "{error}");
    }

    #[test]
    fn a_broken_template_is_named_with_its_line() {
        let folder = folder_with("node/hosts.tera", "\n{{ v }}");
        let Err(OverrideError::Template(_, source)) = Templates::with_overrides(folder.path()) else {
            panic!()
        };
        assert_eq!((source.template.as_str(), source.line), ("node/hosts.tera", Some(2)));
    }
}

#[test]
fn values_without_end_are_refused_before_they_fill_the_memory() {
    let long = "a".repeat(1000);
    for (source, reason) in [
        (
            "{% set x = 'a' %}{% for i in range(end=30) %}{% set_global x = x ~ x %}{% endfor %}",
            "without end",
        ),
        (
            "{% set_global x = '\"' %}{% for i in range(end=40) %}{% set_global x = x | json %}{% endfor %}",
            "exceeds",
        ),
        (
            &format!("{{{{ '{long}'{} | json }}}}", format!(" | replace(from='a', to='{long}')").repeat(4)),
            "exceeds",
        ),
        (
            &format!(
                "{{{{ '{long}'{} | json }}}}",
                format!(" | split(pat='') | join(sep='{long}')").repeat(4)
            ),
            "exceeds",
        ),
    ] {
        let error = render(source, json!({})).unwrap_err();
        assert!(error.reason.contains(reason), "{error}");
    }
}
