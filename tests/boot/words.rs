//! What a real systemd hands to a program whose command line and environment have been through the `systemd` filter.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;

use seedkit::template::Templates;
use serde_json::json;

use crate::guest::Guest;

/// What would be something else to systemd, or to a shell, without quotes.
pub(crate) const WORDS: [&str; 12] = [
    "한국어 'single' \"double\" `tick`",
    "$HOME ${HOME} $$ $(id)",
    "100% %h %% %n",
    "# ; no comment",
    "back\\slash \\n \\x41 \\",
    "two\nlines\n",
    "tab\there",
    " blanks around ",
    "-leading",
    "@",
    "{{ x }}",
    "",
];
const UNIT: &str = "[Service]\nType=oneshot\n\
    {% for word in words %}Environment={{ word.named | systemd }}\n{% endfor %}\
    ExecStart=/usr/bin/python3 -c {{ program | systemd(exec=true) }}\
    {% for word in words %} {{ word.value | systemd(exec=true) }}{% endfor %}\n";
const PROGRAM: &str = "import json, os, sys\n\
    words = sys.argv[1:]\n\
    named = [os.environ[f'WORD{number}'] for number in range(len(words))]\n\
    open('/run/words.json', 'w').write(json.dumps([words, named]))\n";

/// Starts a service with [`WORDS`] in a guest, and returns its arguments and its environment as it has seen them.
pub(crate) fn seen_by_a_service(guest: &Guest) -> String {
    let templates = Templates::new(BTreeMap::from([("words.service".to_owned(), UNIT.to_owned())])).unwrap();
    let word =
        |(number, value): (usize, &&str)| json!({"value": value, "named": format!("WORD{number}={value}")});
    let words: Vec<_> = WORDS.iter().enumerate().map(word).collect();
    let unit = templates.render("words.service", &json!({"words": words, "program": PROGRAM})).unwrap();
    let script = "sudo tee /run/systemd/system/words.service >/dev/null; \
                  control() { sudo SYSTEMD_BUS_TIMEOUT=600 systemctl \"$@\"; }; \
                  control daemon-reload && control start words.service; cat /run/words.json; \
                  sudo rm /run/systemd/system/words.service /run/words.json; control daemon-reload";
    let mut ssh = guest.ssh(&[], script);
    let mut ssh = ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    ssh.stdin.take().unwrap().write_all(unit.as_bytes()).unwrap();
    String::from_utf8(ssh.wait_with_output().unwrap().stdout).unwrap()
}
