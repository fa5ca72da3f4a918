//! A proxy as companies have it: it forwards plain HTTP, opens tunnels for HTTPS, and keeps a list.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::hostile::read_request;

/// A running proxy; it accepts no more when dropped, and connections end when their clients close them.
pub(crate) struct Proxy {
    authority: String,
    is_ended: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts a proxy that lets everything through.
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts a proxy that asks for this `Proxy-Authorization`.
    pub(crate) fn start_with(authorization: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(vec![]));
        let is_ended = Arc::new(AtomicBool::new(false));
        let (shared, is_over) = (Arc::clone(&requests), Arc::clone(&is_ended));
        std::thread::spawn(move || {
            for client in listener.incoming().take_while(|_| !is_over.load(Ordering::SeqCst)) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(client.unwrap(), authorization, &shared));
            }
        });
        Self { authority, is_ended, requests }
    }

    /// Returns `127.0.0.1:port`.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns what was asked for, in order: `GET http://host/path`, `CONNECT host:port`.
    ///
    /// A request is in the list before it is passed on, so a client that has its answer finds it here.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.is_ended.store(true, Ordering::SeqCst);
        // The acceptor sees the end only when it is woken.
        let _woken = TcpStream::connect(&self.authority);
    }
}

/// Passes one request on and joins both connections until one side ends. Nothing here may fail a test: the
/// client sees it when something breaks.
fn serve(client: TcpStream, authorization: Option<&str>, requests: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let request = read_request(&mut reader, 0)?;
    requests.lock().unwrap().push(request.line());
    if authorization.is_some() && request.header("proxy-authorization") != authorization {
        (&client).write_all(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n").ok()?;
        return None;
    }
    let server = if request.method == "CONNECT" {
        let server = TcpStream::connect(&request.target).ok()?;
        (&client).write_all(b"HTTP/1.1 200 Go on\r\n\r\n").ok()?;
        server
    } else {
        let (host, path) = request.target.strip_prefix("http://")?.split_once('/')?;
        let mut server = TcpStream::connect(host).ok()?;
        write!(server, "{} /{path} HTTP/1.1\r\nConnection: close\r\n", request.method).ok()?;
        let passed_on = request.headers.iter().filter(|(name, _)| !name.contains("connection"));
        passed_on.for_each(|(name, value)| write!(server, "{name}: {value}\r\n").unwrap());
        server.write_all(b"\r\n").ok()?;
        server.write_all(&request.body).ok()?;
        server
    };
    let (from_server, to_client) = (server.try_clone().ok()?, client);
    let back = std::thread::spawn(move || pour(from_server, to_client));
    pour(reader, server);
    back.join().ok()
}

fn pour(mut from: impl Read, mut to: TcpStream) {
    // Either side may close its connection at any time; then the other is closed too.
    let _ended = std::io::copy(&mut from, &mut to);
    let _closed = to.shutdown(Shutdown::Write);
}

mod tests {
    use super::super::hostile::{Answer, Hostile};
    use super::super::oracle;
    use super::super::tls::Certificate;
    use super::*;

    #[test]
    fn curl_reaches_servers_through_the_proxy() {
        let certificate = Certificate::new();
        let plain = Hostile::start(|_| Answer::new(200, "plain"));
        let tls = Hostile::start_with_tls(&certificate, |_| Answer::new(200, "secret"));
        let proxy = Proxy::start_with(Some("Basic dXNlcjpwYXNz"));
        let through = format!("http://user:pass@{}", proxy.authority());
        let authority = certificate.authority();
        let fixed =
            ["-sS", "--fail", "--noproxy", "", "--proxy", &through, "--cacert", authority.to_str().unwrap()];
        let urls = [plain.url() + "/a", tls.url() + "/b"];
        let answer = oracle::text("curl", fixed.into_iter().chain(urls.iter().map(String::as_str)));
        assert_eq!(answer, "plainsecret");
        assert_eq!(
            proxy.requests(),
            [format!("GET {}/a", plain.url()), format!("CONNECT {}", tls.authority())]
        );
        assert_eq!(Proxy::start().requests(), [""; 0]);
    }
}
