//! A server that answers as a test says: too much, too little, the wrong thing, or nothing at all.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::tls::Certificate;

/// What a client asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// `GET`, `HEAD`, …
    pub(crate) method: String,
    /// The path and the query, as sent.
    pub(crate) target: String,
    /// The headers, names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// The content.
    pub(crate) body: Vec<u8>,
    /// The number of the connection it came on, from 0: equal numbers are a connection used again.
    pub(crate) connection: usize,
}

impl Request {
    /// Returns a header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Returns `METHOD target`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// What comes after the headers of an [`Answer`].
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// These bytes, announced with their length.
    Whole(Vec<u8>),
    /// These bytes, in chunks, with no length announced.
    Chunked(Vec<u8>),
    /// These bytes, announced as that many, after which the connection is closed.
    Announced(Vec<u8>, u64),
    /// These bytes, announced, one at a time with a pause before each.
    Slow(Vec<u8>, Duration),
    /// The same bytes again and again, in chunks, until the client goes away.
    Endless(Vec<u8>),
    /// These bytes, announced as that many, after which nothing comes and the connection stays open.
    Stalling(Vec<u8>, u64),
    /// These bytes, announced, in pieces that are counted and may be held back.
    Metered(Vec<u8>, Meter),
    /// The same in pieces of so many bytes.
    Drops(Vec<u8>, usize, Meter),
}

/// Hears how many bytes are about to be sent; tells whether they are, else nothing comes any more. An error hangs up.
#[derive(Clone)]
pub(crate) struct Meter(pub(crate) Arc<dyn Fn(u64) -> std::io::Result<bool> + Send + Sync>);

impl std::fmt::Debug for Meter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Meter")
    }
}

/// What the server says.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
    is_silent: bool,
    hangs_up: bool,
}

impl Answer {
    /// Answers with a status and a whole body.
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![], body: Body::Whole(body.into()), is_silent: false, hangs_up: false }
    }

    /// Answers 200 with such a body.
    pub(crate) fn with_body(body: Body) -> Self {
        Self { status: 200, headers: vec![], body, is_silent: false, hangs_up: false }
    }

    /// Says nothing and keeps the connection open.
    pub(crate) fn silence() -> Self {
        Self { is_silent: true, ..Self::new(200, "") }
    }

    /// Says nothing and closes the connection.
    pub(crate) fn hang_up() -> Self {
        Self { hangs_up: true, ..Self::new(200, "") }
    }

    /// Sends the client elsewhere.
    pub(crate) fn redirect(location: &str) -> Self {
        Self::new(307, "").header("Location", location)
    }

    /// Answers with another status.
    pub(crate) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes the answer; returns whether the connection can be used again.
    fn write(&self, to: &mut dyn Stream, is_head: bool) -> std::io::Result<bool> {
        if self.is_silent {
            return wait_for_end(to);
        }
        if self.hangs_up {
            return Ok(false);
        }
        write!(to, "HTTP/1.1 {} Answer\r\n", self.status)?;
        for (name, value) in &self.headers {
            write!(to, "{name}: {value}\r\n")?;
        }
        let framing = match &self.body {
            Body::Whole(bytes) | Body::Slow(bytes, _) | Body::Metered(bytes, _) | Body::Drops(bytes, ..) => {
                format!("Content-Length: {}", bytes.len())
            }
            Body::Announced(_, length) | Body::Stalling(_, length) => format!("Content-Length: {length}"),
            Body::Chunked(_) | Body::Endless(_) => "Transfer-Encoding: chunked".to_owned(),
        };
        let states_length = self.headers.iter().any(|(name, _)| name == "Content-Length");
        write!(to, "{}\r\n", if states_length { String::new() } else { framing + "\r\n" })?;
        if is_head {
            return Ok(true);
        }
        match &self.body {
            Body::Whole(bytes) => to.write_all(bytes).map(|()| true),
            Body::Slow(bytes, pause) => {
                for byte in bytes {
                    // Slowness is what this body is for; nobody waits for a condition here.
                    std::thread::sleep(*pause);
                    to.write_all(&[*byte])?;
                }
                Ok(true)
            }
            Body::Metered(bytes, meter) => in_pieces(to, bytes, 16 * 1024, meter),
            Body::Drops(bytes, size, meter) => in_pieces(to, bytes, *size, meter),
            Body::Announced(bytes, _) => to.write_all(bytes).map(|()| false),
            Body::Stalling(bytes, _) => to.write_all(bytes).and_then(|()| wait_for_end(to)),
            Body::Chunked(bytes) => {
                chunk(to, bytes)?;
                chunk(to, b"").map(|()| true)
            }
            Body::Endless(bytes) => loop {
                chunk(to, bytes)?;
            },
        }
    }
}

fn in_pieces(
    to: &mut dyn Stream,
    bytes: &[u8],
    size: usize,
    Meter(is_sent): &Meter,
) -> std::io::Result<bool> {
    for piece in bytes.chunks(size) {
        if !is_sent(piece.len() as u64)? {
            return wait_for_end(to);
        }
        to.write_all(piece)?;
    }
    Ok(true)
}

fn chunk(to: &mut dyn Stream, bytes: &[u8]) -> std::io::Result<()> {
    write!(to, "{:x}\r\n", bytes.len())?;
    to.write_all(bytes)?;
    to.write_all(b"\r\n")
}

/// Keeps the connection open until the client, or the end of the server, closes it.
fn wait_for_end(stream: &mut dyn Stream) -> std::io::Result<bool> {
    while stream.read(&mut [0])? > 0 {}
    Ok(false)
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

#[derive(Default)]
struct State {
    requests: Mutex<Vec<Request>>,
    /// Every connection, so that the end of the server wakes the threads that read from one; `None` at the end.
    connections: Mutex<Option<Vec<TcpStream>>>,
}

/// A running server; it ends when dropped.
pub(crate) struct Hostile {
    authority: String,
    scheme: &'static str,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

impl Hostile {
    /// Starts a server of plain HTTP that answers each request with what `handler` returns.
    pub(crate) fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(Arc::new(handler), None)
    }

    /// Starts the same over TLS.
    pub(crate) fn start_with_tls(
        certificate: &Certificate,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(Arc::new(handler), Some(Arc::new(tls_configuration(certificate))))
    }

    fn start_with(handler: Arc<Handler>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let state = Arc::new(State { connections: Mutex::new(Some(vec![])), ..State::default() });
        let shared = Arc::clone(&state);
        let acceptor = std::thread::spawn(move || {
            for connection in listener.incoming() {
                let connection = connection.unwrap();
                connection.set_nodelay(true).unwrap();
                let number = match &mut *shared.connections.lock().unwrap() {
                    None => return,
                    Some(all) => {
                        all.push(connection.try_clone().unwrap());
                        all.len() - 1
                    }
                };
                let (handler, state, tls) = (Arc::clone(&handler), Arc::clone(&shared), tls.clone());
                let closer = connection.try_clone().unwrap();
                std::thread::spawn(move || {
                    let stream: Box<dyn Stream> = match tls {
                        None => Box::new(connection),
                        Some(tls) => Box::new(rustls::StreamOwned::new(
                            rustls::ServerConnection::new(tls).unwrap(),
                            connection,
                        )),
                    };
                    converse(stream, number, &*handler, &state);
                    // Dropping the stream is not enough: the list of connections holds it too.
                    let _closed = closer.shutdown(Shutdown::Both);
                });
            }
        });
        Self { authority, scheme, state, acceptor: Some(acceptor) }
    }

    /// Returns `127.0.0.1:port`.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns `http://127.0.0.1:port` or the same with `https`.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// Returns how many connections there were so far: the number of the next one.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.lock().unwrap().as_ref().map_or(0, Vec::len)
    }

    /// Returns all requests so far, in the order in which they were read.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        for connection in self.state.connections.lock().unwrap().take().unwrap_or_default() {
            // It fails if the connection is closed already, which is what is wanted.
            let _closed = connection.shutdown(Shutdown::Both);
        }
        // The acceptor sees the end only when it is woken.
        let _woken = TcpStream::connect(&self.authority);
        self.acceptor.take().map(JoinHandle::join);
    }
}

/// Answers the requests of one connection until it is closed or cannot be used again.
fn converse(stream: Box<dyn Stream>, number: usize, handler: &Handler, state: &State) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader, number) {
        state.requests.lock().unwrap().push(request.clone());
        let answer = handler(&request);
        match answer.write(reader.get_mut(), request.method == "HEAD") {
            Ok(true) => {}
            // The client may go away whenever it likes.
            Ok(false) | Err(_) => break,
        }
        let _gone = reader.get_mut().flush();
    }
    let _gone = reader.get_mut().flush();
}

/// Reads one request; `None` at the end of the connection.
pub(crate) fn read_request(reader: &mut impl BufRead, connection: usize) -> Option<Request> {
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, target, headers, body, connection })
}

fn tls_configuration(certificate: &Certificate) -> rustls::ServerConfig {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let chain = CertificateDer::pem_file_iter(certificate.certificate()).unwrap().map(Result::unwrap);
    let key = PrivateKeyDer::from_pem_file(certificate.key()).unwrap();
    rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.collect(), key)
        .unwrap()
}

mod tests {
    use super::*;

    /// Sends one request and reads until the server closes, or until `enough` bytes came.
    fn ask(server: &Hostile, head: &str, enough: u64) -> String {
        let mut stream = TcpStream::connect(server.authority()).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.take(enough).read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn the_hostile_server_says_what_the_test_tells_it() {
        let server = Hostile::start(|request| match request.target.as_str() {
            "/cut" => Answer::with_body(Body::Announced(b"abc".to_vec(), 9)),
            "/chunked" => Answer::with_body(Body::Chunked(b"abc".to_vec())),
            "/endless" => Answer::with_body(Body::Endless(b"ab".to_vec())),
            "/stalling" => Answer::with_body(Body::Stalling(b"abc".to_vec(), 9)).header("X-Test", "1"),
            "/elsewhere" => Answer::redirect("http://elsewhere.invalid/"),
            _ => Answer::silence(),
        });
        let answer = ask(&server, "GET /cut HTTP/1.1\r\nHost: a\r\n\r\n", 1000);
        assert_eq!(answer, "HTTP/1.1 200 Answer\r\nContent-Length: 9\r\n\r\nabc");
        let chunked = "HTTP/1.1 200 Answer\r\nTransfer-Encoding: chunked\r\n\r\n";
        let expected = format!("{chunked}3\r\nabc\r\n0\r\n\r\n");
        assert_eq!(ask(&server, "GET /chunked HTTP/1.1\r\n\r\n", expected.len() as u64), expected);
        let expected = format!("{chunked}{}", "2\r\nab\r\n".repeat(9999));
        assert_eq!(ask(&server, "GET /endless HTTP/1.1\r\n\r\n", expected.len() as u64), expected);
        let expected = "HTTP/1.1 200 Answer\r\nX-Test: 1\r\nContent-Length: 9\r\n\r\nabc";
        assert_eq!(ask(&server, "GET /stalling HTTP/1.1\r\n\r\n", expected.len() as u64), expected);
        let answer = ask(&server, "POST /elsewhere HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", 30);
        assert!(answer.starts_with("HTTP/1.1 307"));
        let post = &server.requests()[4];
        assert_eq!((post.line().as_str(), post.body.as_slice()), ("POST /elsewhere", &b"hi"[..]));
        assert_eq!(post.connection, 4);
    }
}
