//! What the quoting filters write, judged by the programs that read it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use fs_err as fs;
use seedkit::template::Templates;
use serde_json::json;

use crate::support::oracle;

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
        let templates = Templates::new(BTreeMap::from([("x".to_owned(), source.to_owned())])).unwrap();
        let folder = tempfile::tempdir().unwrap();
        // systemd tests units for an ordinary user only, who needs a home.
        fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let unit = templates.render("x", &json!({"v": format!("V={value}")})).unwrap();
        fs::write(folder.path().join("x.service"), unit).unwrap();
        fs::write(folder.path().join("default.target"), "[Unit]\nWants=x.service\n").unwrap();
        let mut systemd = oracle::command("setpriv");
        systemd
            .args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "/usr/lib/systemd/systemd",
                "--user",
                "--test",
            ])
            .env("SYSTEMD_UNIT_PATH", folder.path())
            .env("XDG_RUNTIME_DIR", folder.path())
            .env("HOME", folder.path());
        let dump = String::from_utf8(oracle::finish(&mut systemd).stdout).unwrap();
        let read = dump
            .split_once("Environment: V=")
            .and_then(|(_, rest)| rest.split_once("\n\t\tEnvironment: END=1"));
        assert_eq!(read.map(|(read, _)| read), Some(value), "{dump}");
    }
}
