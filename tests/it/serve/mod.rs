//! `seedkit serve`: a kit as a registry, asked by other people's clients and by hostile ones.

mod clients;
mod crowd;
mod hostile;
mod http;
mod kits;
mod lists;
mod passwords;
mod stop;
mod timeouts;
mod unit;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use fs_err as fs;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::images::Image;
use crate::support::kits::write_layout;
use crate::support::oracle;
use crate::support::sandbox::Sandbox;

/// How long a test waits for a line of the log that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kit that is being served on loopback, ended with its test.
pub(crate) struct Serving {
    child: Child,
    lines: Receiver<String>,
    address: String,
    /// What it announced, as JSON.
    said: Value,
    sandbox: Sandbox,
}

/// An answer as curl saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// By name in lower case.
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the code of the error that the answer holds.
    fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }
}

impl Serving {
    /// Serves the kit of the lab.
    pub(crate) fn lab() -> Self {
        Self::start(Sandbox::built_lab(), &[])
    }

    /// Serves a kit with other images in the place of the lab's, each under its full name.
    fn of(images: &[(&str, &Image)], options: &[&str]) -> Self {
        let sandbox = Sandbox::built_lab();
        write_layout(&sandbox, images);
        Self::start(sandbox, options)
    }

    /// Serves the folder `kit` of `sandbox` on a free port.
    pub(crate) fn start(sandbox: Sandbox, options: &[&str]) -> Self {
        let arguments = [&["serve", "kit", "--json", "--listen", "127.0.0.1:0"], options].concat();
        let mut command = sandbox.prepare(&arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines_of(child.stderr.take().unwrap());
        let mut said = String::new();
        // The result comes when it listens; the pipe stays open for as long as it runs.
        let mut result = BufReader::new(child.stdout.take().unwrap());
        while !said.ends_with("\n}\n") {
            if result.read_line(&mut said).unwrap() == 0 {
                let errors: Vec<String> = lines.iter().collect();
                panic!("serve ended before it listened: {said}\n{}", errors.join("\n"));
            }
        }
        let said: Value = serde_json::from_str(&said).unwrap();
        let address = said["listen"].as_str().unwrap().to_owned();
        Self { child, lines, address, said, sandbox }
    }

    /// Returns `127.0.0.1:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns the URL of a path.
    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// Returns the certificate of the authority to trust.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.sandbox.path("kit/registry/ca.crt")
    }

    /// Returns a folder that holds the authority's certificate alone, as skopeo wants it.
    pub(crate) fn certificates(&self) -> PathBuf {
        let folder = self.sandbox.path("certs");
        fs::create_dir_all(&folder).unwrap();
        fs::copy(self.ca_file(), folder.join("ca.crt")).unwrap();
        folder
    }

    /// Asks with curl, which trusts the kit's authority and nobody else.
    fn curl<S: AsRef<OsStr>>(&self, path: &str, options: &[S]) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        let [head, body] = ["head", "body"].map(|name| folder.path().join(name));
        fs::write(&body, "").unwrap();
        let mut command = oracle::command("curl");
        command.args([
            "--silent",
            "--show-error",
            "--path-as-is",
            "--globoff",
            "--max-time",
            "60",
            "--cacert",
        ]);
        command.arg(self.ca_file()).arg("--dump-header").arg(&head).arg("--output").arg(&body);
        oracle::finish(command.args(options).arg(self.url(path)));
        let head = fs::read_to_string(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Answer { status, headers, body: fs::read(body).unwrap() }
    }

    fn get(&self, path: &str) -> Answer {
        self.curl(path, &[] as &[&str])
    }

    fn head(&self, path: &str) -> Answer {
        self.curl(path, &["--head"])
    }

    /// Returns the first line of the log from now on that holds `text`.
    fn wait_for_line(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("no {text:?} in the log, {error}: {seen:?}"),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the process has ended; returns how, and the rest of its log.
    fn end(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        let rest: Vec<String> = self.lines.iter().collect();
        (status, rest.join("\n"))
    }

    /// Returns a number that Linux keeps about the process, in KiB.
    fn memory(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim_start_matches(':').trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Both may fail only if it has ended by itself.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Reads the log on a thread, so that the pipe never fills.
fn lines_of(log: ChildStderr) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            // A test that has ended reads no more.
            let _unread = sender.send(line);
        }
    });
    lines
}

/// Returns the names and digests of the images in a kit, as its bill of materials has them.
fn billed(sandbox: &Sandbox) -> Vec<(String, String)> {
    let bill: Value = serde_json::from_str(&sandbox.read("kit/kit.json")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let images = bill["images"].as_array().unwrap().iter();
    images.map(|image| (text(&image["reference"]), text(&image["digest"]))).collect()
}

/// Makes a client that is not the one under test, and trusts the kit's authority alone.
fn client(serving: &Serving) -> reqwest::blocking::Client {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(serving.ca_file()).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::blocking::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .tls_backend_preconfigured(tls)
        .build()
        .unwrap()
}

/// Reads `reader` to its end or to an error; returns how many bytes came.
fn drain(mut reader: impl Read) -> (u64, Option<std::io::Error>) {
    let (mut total, mut buffer) = (0, vec![0; 64 * 1024]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return (total, None),
            Ok(read) => total += read as u64,
            Err(error) => return (total, Some(error)),
        }
    }
}
