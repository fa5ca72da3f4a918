//! What the quoting filters write, judged by the programs that read it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use fs_err as fs;
use seedkit::template::Templates;
use serde_json::{Value, json};

use crate::support::oracle;

/// What means something to YAML, JSON, a shell, systemd or a template, and characters of every width; `/` stands between.
const PIECES: &str = "'/\"/\\/`/$/${/$(/$$/}/)/%/%%/%h/%n/{{/}}/{%/%}/{#/#/ #/:/: /- /? /|/>/&/*/!/!!str /@/,/[/]/{/~/=/;/&&/\
                      <<EOF/\n/\nEOF\n/\n- /\n\n/\t/ /  /\\n/\\x41/\\u0041/\\\n/no/0644/1e3/null/.../---/한국어/가 나/é/\
                      \u{1f680}/\u{a0}/\u{85}/\u{2028}/\u{feff}";
/// So many values go through each filter.
const VALUES: usize = 400;

/// Returns values that nobody would think of, the same ones in every run.
fn values() -> Vec<String> {
    let mut state = 1_u64;
    let mut throw = |sides: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % sides
    };
    let pieces: Vec<&str> = PIECES.split('/').collect();
    (0..VALUES).map(|_| (0..throw(9)).map(|_| pieces[throw(pieces.len())]).collect()).collect()
}

fn render(source: &str, context: &Value) -> String {
    let templates = Templates::new(BTreeMap::from([("x".to_owned(), source.to_owned())])).unwrap();
    templates.render("x", context).unwrap()
}

/// Has Python print as JSON what it makes of a file.
fn read_by_python(program: &str, file: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, file).unwrap();
    let program = format!("import base64, json, sys, yaml\nfile = open(sys.argv[1], 'rb').read()\n{program}");
    let arguments = ["-c".as_ref(), program.as_ref(), path.as_os_str()];
    serde_json::from_str(&oracle::text("/usr/bin/python3", arguments)).unwrap()
}

#[test]
fn any_value_is_itself_in_json_and_in_yaml() {
    let values = values();
    let keys: BTreeMap<&String, usize> = values.iter().zip(0..).collect();
    let context = json!({ "values": values, "keys": keys });
    let json = render("{{ __tera_context | json }}", &context);
    assert_eq!(read_by_python("print(json.dumps(json.loads(file)))", &json), context);
    let source = "values:\n{% for value in values %}  - {{ value | json }}\n{% endfor %}keys: \
                  {{ keys | json }}\n";
    let yaml = render(source, &context);
    assert_eq!(read_by_python("print(json.dumps(yaml.safe_load(file)))", &yaml), context);
}

#[test]
fn any_value_is_itself_to_a_shell() {
    let values = values();
    let source = "printf '%s\\0'{% for value in values %} {{ value | shell }}{% endfor %}\n";
    let script = render(source, &json!({ "values": values }));
    for shell in ["dash", "bash"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        fs::write(&path, &script).unwrap();
        assert_eq!(words(&oracle::text(shell, [&path])), values, "{shell}");
    }
}

#[test]
fn any_value_is_itself_after_base64() {
    let values = values();
    let source = "{% for value in values %}{{ value | base64 }}\n{% endfor %}";
    let lines = render(source, &json!({ "values": values }));
    let program =
        "print(json.dumps([base64.b64decode(line, validate=True).decode() for line in file.split(b'\\n')]))";
    let mut read = read_by_python(program, &lines);
    assert_eq!(read.as_array_mut().unwrap().pop(), Some(json!("")), "a line ends each value");
    assert_eq!(read, json!(values));
}

#[test]
fn any_value_is_itself_in_a_unit_of_systemd() {
    let values = values();
    // Each is marked, so that its end can be found in what systemd prints.
    let environment: Vec<String> =
        values.iter().enumerate().map(|(number, value)| format!("V{number}={value}")).collect();
    let source = "[Service]\n\
                  ExecStart=/bin/echo{% for value in values %} {{ value | systemd(exec=true) }}{% endfor %}\n\
                  {% for value in environment %}Environment={{ value | systemd }}\n{% endfor %}\
                  Environment=END=\n";
    let dump = dump(&render(source, &json!({ "values": values, "environment": environment })));
    let (_, mut rest) = dump.split_once(ENVIRONMENT).unwrap();
    for (number, expected) in environment.iter().enumerate() {
        let next = if number + 1 == VALUES { "END=".to_owned() } else { format!("V{}=", number + 1) };
        let (read, after) = rest.split_once(&format!("{ENVIRONMENT}{next}")).unwrap();
        let read = format!("{}{read}", if number == 0 { String::new() } else { format!("V{number}=") });
        assert_eq!(&read, expected);
        rest = after;
    }
    // At the start of the program `$$` becomes `$`; the boot proof sees it.
    let expected: Vec<String> = values.iter().map(|value| value.replace('$', "$$")).collect();
    let (_, command) = dump.split_once("Command Line: /bin/echo ").unwrap();
    assert_eq!(unquoted(command.lines().next().unwrap()), expected);
}

/// What systemd prints before each variable.
const ENVIRONMENT: &str = "\n\t\tEnvironment: ";

/// Returns the words of a command line that systemd prints: in double quotes where they need any, with escapes.
fn unquoted(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut characters = line.chars().peekable();
    while let Some(first) = characters.next() {
        let mut word = String::new();
        let (mut next, end) = if first == '"' { (characters.next(), '"') } else { (Some(first), ' ') };
        while let Some(character) = next.filter(|character| *character != end) {
            word.push(match character {
                '\\' => match characters.next().unwrap() {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                },
                other => other,
            });
            next = characters.next();
        }
        if end == '"' {
            characters.next_if_eq(&' ');
        }
        words.push(word);
    }
    words
}

/// Returns what a program said with a NUL behind each word.
fn words(said: &str) -> Vec<&str> {
    said.strip_suffix('\0').unwrap().split('\0').collect()
}

/// Returns all that systemd knows of a service once it has read its unit.
fn dump(unit: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    // systemd tests units for an ordinary user only, who needs a home.
    fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(folder.path().join("x.service"), unit).unwrap();
    fs::write(folder.path().join("default.target"), "[Unit]\nWants=x.service\n").unwrap();
    let mut systemd = oracle::command("setpriv");
    systemd
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["/usr/lib/systemd/systemd", "--user", "--test"])
        .env("SYSTEMD_UNIT_PATH", folder.path())
        .env("XDG_RUNTIME_DIR", folder.path())
        .env("HOME", folder.path());
    String::from_utf8(oracle::finish(&mut systemd).stdout).unwrap()
}

#[test]
fn systemd_reads_a_quoted_value_as_it_was() {
    for value in [
        "plain",
        "한글 'single' \"double\" `tick`",
        "$HOME ${HOME} %h %% #;",
        "back\\slash \\n \\",
        "two\nlines\n",
        "tab\t, bell\u{7}, {{ x }}",
        " blanks around ",
        "",
    ] {
        let source = "[Service]\nExecStart=/bin/echo\nEnvironment={{ v | systemd }} \"END=1\"\n";
        let dump = dump(&render(source, &json!({"v": format!("V={value}")})));
        let read = dump
            .split_once("Environment: V=")
            .and_then(|(_, rest)| rest.split_once("\n\t\tEnvironment: END=1"));
        assert_eq!(read.map(|(read, _)| read), Some(value), "{dump}");
    }
}
