//! The report as a page: opened by Chromium, judged by what the kit itself says.

use std::path::Path;
use std::process::Command;

use fs_err as fs;
use seedkit::check::{self, Kit};
use seedkit::progress::Silent;
use serde_json::{Value, json};

use crate::support::broken::BrokenKit;
use crate::support::browser::{self, Seen};
use crate::support::oracle;
use crate::support::sandbox::{BUILD, SPEC, Sandbox};

const SHOWN: &str = include_str!("report.js");
const CONTRAST: &str = include_str!("report_contrast.js");
const DAY: i64 = 24 * 60 * 60;

/// Opens a page and returns what it shows; it asked for nothing but itself, and nothing went wrong.
fn shown(page: &Path, now: Option<i64>) -> Value {
    let Seen { mut values, requests, complaints } = browser::open(page, now, &[json!({ "evaluate": SHOWN })]);
    assert_eq!(requests, [format!("file://{}", page.display())]);
    assert_eq!(complaints, [Value::Null; 0]);
    values.remove(0)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("no list {key:?} in {value}"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key:?} in {value}"))
}

/// Returns the begin and the end of a certificate, in seconds since 1970, as OpenSSL and `date` read them.
fn validity(certificate: &Path) -> (i64, i64) {
    let certificate = certificate.to_str().unwrap();
    let of = |option: &str| {
        let line = oracle::text("openssl", ["x509", "-noout", option, "-in", certificate]);
        let date = line.trim().split_once('=').unwrap().1.to_owned();
        oracle::text("date", ["-d", &date, "+%s"]).trim().parse::<i64>().unwrap()
    };
    (of("-startdate"), of("-enddate"))
}

/// Returns the alternative names of a certificate as OpenSSL prints them, without their kinds.
fn alternative_names(certificate: &Path) -> Vec<String> {
    let arguments = ["x509", "-noout", "-ext", "subjectAltName", "-in", certificate.to_str().unwrap()];
    let text = oracle::text("openssl", arguments);
    let names = text.lines().nth(1).unwrap().split(',').map(|name| name.trim().split_once(':').unwrap().1);
    // OpenSSL writes all eight groups of an address.
    names.map(|name| if name == "0:0:0:0:0:0:0:1" { "::1".to_owned() } else { name.to_owned() }).collect()
}

#[test]
fn a_kits_page_shows_all_of_the_kit_and_asks_nobody() {
    let sandbox = Sandbox::built_lab();
    let kit = sandbox.path("kit");
    let page = shown(&kit.join("report.html"), None);
    let bill: Value = serde_json::from_str(&sandbox.read("kit/kit.json")).unwrap();
    assert_eq!(page["title"], "lab: seedkit report");
    assert!(text(&page, "verdict").starts_with("It fits. All parts that were checked fit each other"));
    for fact in ["k3s", "registry", "madeBy"] {
        assert!(list(&page, "facts").contains(&bill[fact]), "{fact}: {}", page["facts"]);
    }
    let nodes = list(&page, "nodes");
    assert_eq!(nodes.len(), list(&bill, "nodes").len());
    for (shown, node) in nodes.iter().zip(list(&bill, "nodes")) {
        assert_eq!(shown["name"], node["name"]);
        for key in ["name", "role", "address", "platform"] {
            assert!(text(shown, "machine").contains(text(node, key)), "{key}: {shown}");
        }
        assert_eq!(shown["discs"][0]["path"], node["seed"]);
        let tarball = sandbox.names("kit").into_iter().find(|name| name.starts_with("airgap-")).unwrap();
        for part in [
            &tarball,
            "10 images",
            "3 ops packages",
            "Trusts CN=lab registry CA",
            "registries.yaml",
            "/etc/motd",
        ] {
            assert!(text(&shown["discs"][0], "text").contains(part), "{part}: {shown}");
        }
    }
    assert!(text(&nodes[0], "machine").contains("00:50:56:06:00:10"), "the card that it is for");
    assert!(text(&page, "registry").contains(text(&bill, "registry")));
    let images = list(&page, "images");
    assert_eq!(images.len(), list(&bill, "images").len());
    for (shown, image) in images.iter().zip(list(&bill, "images")) {
        let platforms: Vec<&str> =
            image["platforms"].as_object().unwrap().keys().map(String::as_str).collect();
        let size = seedkit::progress::Bytes(image["totalSize"].as_u64().unwrap()).to_string();
        assert_eq!(*shown, json!([image["reference"], image["digest"], platforms.join(", "), size]));
    }
    let names: Vec<&str> = list(&page["certificates"][0], "names").iter().filter_map(Value::as_str).collect();
    assert_eq!(names, alternative_names(&kit.join("registry/registry.crt")));
    let report = sandbox.seedkit(&["check", "kit", "--json"]).succeeds().json();
    assert_eq!(list(&page, "findings").len(), 0);
    let reasoned = ["notChecked", "notApplicable"].map(|key| list(&report, key));
    for row in reasoned.into_iter().flatten() {
        let reason = text(row, "reason").replace('`', "");
        let is_there = |line: &Value| line[0] == row["id"] && line[2] == *reason;
        assert!(list(&page, "rows").iter().any(is_there), "{row}");
    }
    assert_eq!(list(&page, "rows").len(), check::rows().len());
    nothing_strange(&page);
}

#[test]
fn the_disc_that_all_machines_share_is_shown_with_each_of_them() {
    let sandbox = Sandbox::lab();
    sandbox.edit(SPEC, "seed:\n", "seed:\n  payload: shared\n");
    sandbox.seedkit(&BUILD).succeeds();
    let page = shown(&sandbox.path("kit/report.html"), None);
    for node in list(&page, "nodes") {
        let discs = list(node, "discs");
        assert_eq!(discs[0]["path"], format!("seeds/seed-{}.iso", text(node, "name")));
        assert_eq!((discs.len(), &discs[1]["path"]), (2, &json!("seeds/payload.iso")));
        // What is a node's own is on its own disc alone.
        for (disc, part, is_there) in
            [(0, "10 images", false), (1, "10 images", true), (0, "config.yaml", true)]
        {
            assert_eq!(text(&discs[disc], "text").contains(part), is_there, "{part}: {}", discs[disc]);
        }
    }
}

/// Panics if a page has elements that none of ours has.
fn nothing_strange(page: &Value) {
    let found = (&page["strange"], &page["scripts"], &page["targets"]);
    assert_eq!(found, (&json!([]), &json!(1), &json!([])));
}

#[test]
fn the_days_that_are_left_are_counted_when_the_page_is_opened() {
    let kit = BrokenKit::lab();
    let page = kit.path("report.html");
    let (begin, end) = validity(&kit.path("registry/registry.crt"));
    for (now, life, state) in [
        (end - 800 * DAY, "800 days left", "good"),
        (end - 29 * DAY - 1, "29 days left", "fair"),
        (end - DAY - DAY / 2, "1 day left", "fair"),
        (end - 1, "0 days left", "fair"),
        (end + 3 * DAY, "ended 3 days ago", "bad"),
        (begin - 1, "begins in 1 day", "bad"),
    ] {
        let page = shown(&page, Some(now));
        let certificate = &page["certificates"][0];
        assert_eq!(certificate["life"], life);
        assert!(text(certificate, "state").ends_with(state), "{life}: {certificate}");
        assert_eq!(page["clock"], json!([format!("The registry’s certificate: {life}")]));
    }
    // By the machine's own clock, which goes on while the browser starts.
    let days = || {
        let now: i64 = oracle::text("date", ["+%s"]).trim().parse().unwrap();
        (end - now).div_euclid(DAY)
    };
    let before = days();
    let page = shown(&page, None);
    let life = text(&page["certificates"][0], "life");
    assert!((days()..=before).any(|days| life == format!("{days} days left")), "{life}");
    let times = list(&page["certificates"][0], "times").iter().map(|time| {
        oracle::text("date", ["-d", time.as_str().unwrap(), "+%s"]).trim().parse::<i64>().unwrap()
    });
    assert_eq!(times.collect::<Vec<_>>(), [begin, end]);
}

#[test]
fn every_finding_of_a_broken_kit_is_shown_and_nothing_in_it_runs() {
    const EVIL: &str = "</td></script><script>alert(1)</script><img src=x onerror=alert(2)> \" ' `x";
    let kit = BrokenKit::lab();
    let bill = kit.path("kit.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&bill).unwrap()).unwrap();
    json["allow"] = json!([{ "id": "SK0001", "reason": EVIL }]);
    json["name"] = EVIL.into();
    json["madeBy"] = EVIL.into();
    json["k3s"] = EVIL.into();
    json["images"][0]["destination"] = EVIL.into();
    let mut node = json["nodes"][2].clone();
    node["name"] = EVIL.into();
    node["seed"] = EVIL.into();
    json["nodes"].as_array_mut().unwrap().push(node);
    fs::write(&bill, json.to_string()).unwrap();
    let html = bill.parent().unwrap().with_file_name("page.html");
    let report = kit.run(&["--json", "--html", html.to_str().unwrap()]);
    assert_eq!(report.code, Some(1), "{}", report.stderr);
    let report = report.json();
    let page = shown(&html, None);
    nothing_strange(&page);
    assert!(text(&page, "verdict").starts_with("It does not fit."));
    assert_eq!(page["nodes"][3]["name"], EVIL);
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let findings = list(&report, "findings");
    assert_eq!(list(&page, "findings").len(), findings.len());
    assert!(findings.iter().any(|finding| finding["allowed"] == EVIL));
    for finding in findings {
        let is_shown = |card: &&Value| {
            let body = text(card, "text").replace('`', "");
            let parts = ["artifact", "place", "what", "why", "fix"].map(|key| text(finding, key));
            let parts = match finding["allowed"].as_str() {
                Some(reason) => [parts[0], parts[1], parts[2], parts[3], reason],
                None => parts,
            };
            card["id"] == finding["id"]
                && parts.iter().all(|part| body.contains(&squeezed(&part.replace('`', ""))))
        };
        assert!(
            list(&page, "findings").iter().any(|card| is_shown(&card)),
            "{finding}\n{}",
            page["findings"]
        );
    }
    well_formed(&html);
}

#[test]
fn a_page_has_the_same_bytes_whenever_and_wherever_it_is_made() {
    let sandbox = Sandbox::built_lab();
    let kit = sandbox.path("kit");
    let (begin, end) = validity(&kit.join("registry/registry.crt"));
    let own = sandbox.read("kit/report.html");
    for (now, findings) in [(begin + 2 * DAY, 0), (end - DAY, 1), (end + DAY, 1)] {
        let opened = Kit::open(&kit, now, 2, &Silent).unwrap();
        let report = check::kit(&opened);
        assert_eq!(report.findings.len(), findings);
        assert!(check::page(&opened, &report).is_some_and(|page| page == own), "another page at {now}");
    }
    sandbox.seedkit(&["check", "kit", "--html", "page.html"]).succeeds();
    assert!(sandbox.read("page.html") == own);
}

#[test]
fn the_digest_is_what_the_command_on_the_page_computes() {
    let sandbox = Sandbox::built_lab();
    let page = shown(&sandbox.path("kit/report.html"), None);
    let computed = || {
        let mut shell = sandbox.command("sh");
        let run = crate::support::sandbox::Run::of(
            shell.args(["-euc", text(&page, "command")]).current_dir(sandbox.path("kit")),
        );
        run.succeeds().stdout.split(' ').next().unwrap().to_owned()
    };
    assert_eq!(computed(), text(&page, "digest"));
    // Anything else in the kit gives another one.
    sandbox.edit(SPEC, "timezone: Asia/Seoul", "timezone: Asia/Tokyo");
    sandbox.seedkit(&BUILD).succeeds();
    assert_ne!(computed(), text(&page, "digest"));
}

#[test]
fn images_are_found_by_what_is_typed() {
    let kit = BrokenKit::lab();
    let type_in = |text: &str| {
        json!({ "evaluate": format!(
            "filter.value = {}; filter.dispatchEvent(new Event('input')); \
             [shown.value, ...document.querySelectorAll('#image-table tbody tr:not([hidden]) th')].map(one => one.textContent ?? one)",
            json!(text)
        ) })
    };
    let seen = browser::open(
        &kit.path("report.html"),
        None,
        &["lab/hello", "QUAY hello", "nothing", ""].map(type_in),
    );
    let counts: Vec<&Value> = seen.values.iter().map(|value| &value[0]).collect();
    assert_eq!(counts, ["2 of 10", "1 of 10", "0 of 10", "10 of 10"]);
    assert_eq!(seen.values[1][1], "quay.io/lab/hello:1.0");
}

#[test]
fn a_page_is_legible_in_light_and_dark_on_phones_and_desks() {
    let kit = BrokenKit::lab();
    kit.allow("SK0001", "a test");
    fs::remove_file(kit.path("seeds/seed-k3s-worker2.iso")).unwrap();
    let html = kit.path("").parent().unwrap().join("page.html");
    assert_eq!(kit.run(&["--html", html.to_str().unwrap()]).code, Some(1));
    let open = json!({ "evaluate": "document.querySelectorAll('details').forEach(one => one.open = true)" });
    let mut steps = vec![open];
    for width in [320, 390, 768, 1280] {
        for is_dark in [false, true] {
            steps.push(json!({ "view": { "width": width, "isDark": is_dark } }));
            steps.push(json!({ "evaluate": CONTRAST }));
        }
    }
    let seen = browser::open(&html, None, &steps);
    for value in &seen.values[1..] {
        assert!(value["read"].as_u64().unwrap() > 200, "{value}");
        assert_eq!((&value["faint"], &value["overflow"]), (&json!([]), &json!(0)));
    }
}

#[test]
fn what_a_page_asks_for_and_complains_of_is_seen() {
    let sandbox = Sandbox::new();
    let page = "<!doctype html><title>x</title><img src='http://127.0.0.1:1/x.png'><script>alert(1); console.log(2); f()</script>";
    sandbox.write("page.html", page);
    let seen = browser::open(&sandbox.path("page.html"), None, &[]);
    assert!(seen.requests.contains(&"http://127.0.0.1:1/x.png".to_owned()), "{:?}", seen.requests);
    let complaints = json!(seen.complaints).to_string();
    for part in [r#""type":"alert""#, r#""type":"log""#, "f is not defined", "ERR_"] {
        assert!(complaints.contains(part), "{part}: {complaints}");
    }
}

/// Has html5lib read a page as browsers do, and panics at what they would have to mend.
fn well_formed(page: &Path) {
    let judge = "import sys, html5lib\n\
                 parser = html5lib.HTMLParser()\n\
                 parser.parse(open(sys.argv[1], 'rb').read())\n\
                 sys.exit('\\n'.join(map(str, parser.errors)) or 0)\n";
    oracle::finish(oracle::command("/usr/bin/python3").args(["-c", judge]).arg(page));
}

#[test]
fn html5lib_finds_nothing_to_mend() {
    well_formed(&BrokenKit::lab().path("report.html"));
}

#[test]
fn a_page_replaces_only_a_page_and_stays_out_of_the_kit() {
    let sandbox = Sandbox::built_lab();
    let check = |html: &str| sandbox.seedkit(&["check", "kit", "--quiet", "--html", html]);
    for _ in 0..2 {
        check("page.html").succeeds();
    }
    let spec = sandbox.read(SPEC);
    assert!(check(SPEC).fails(2).contains("is not a report of seedkit; it is left alone"));
    assert_eq!(sandbox.read(SPEC), spec);
    let sums = sandbox.read("kit/SHA256SUMS");
    assert!(check("kit/report.html").fails(2).contains("a kit has its own page"));
    assert_eq!(sandbox.read("kit/SHA256SUMS"), sums);
    check("nowhere/page.html").fails(2);
    // The spec alone has no discs to show.
    assert_eq!(sandbox.seedkit(&["check", "-f", SPEC, "--html", "page.html"]).code, Some(2));
    assert_eq!(crate::support::sandbox::debris(&sandbox.path("")), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn a_kit_without_a_page_is_as_good_as_before() {
    let kit = BrokenKit::lab();
    let page = fs::read(kit.path("report.html")).unwrap();
    fs::remove_file(kit.path("report.html")).unwrap();
    let sums = kit.path("SHA256SUMS");
    let text = fs::read_to_string(&sums).unwrap();
    let kept: String = text
        .lines()
        .filter(|line| !line.ends_with("  report.html"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(text.lines().count(), kept.lines().count() + 1);
    fs::write(&sums, kept).unwrap();
    let html = kit.path("").parent().unwrap().join("page.html");
    kit.run(&["--html", html.to_str().unwrap()]).succeeds();
    assert!(fs::read(html).unwrap() == page);
    let folder = kit.path("");
    oracle::finish(
        Command::new("sha256sum").args(["-c", "--strict", "--quiet", "SHA256SUMS"]).current_dir(folder),
    );
}
