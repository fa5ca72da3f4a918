//! Connections: accepted up to a limit, served with time limits, ended gracefully.

use std::future::pending;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::AlertDescription;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::access::Log;
use super::answer::Site;
use super::patience::Patient;
use super::tls::Identity;
use crate::progress::Reporter;

/// The most bytes that the head of a request may have.
const LARGEST_HEAD: usize = 64 * 1024;
/// Threads that wait for the disk.
const DISK_THREADS: usize = 16;
/// How long nothing is accepted after accepting failed, for want of file descriptors mostly.
const PAUSE: Duration = Duration::from_millis(100);

/// How much and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait until one ends.
    pub connections: usize,
    /// How long a client may take for its TLS handshake, for a request, and from one request to the next.
    pub read_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub write_timeout: Duration,
    /// How long answers may go on after the server was asked to stop.
    pub stop_timeout: Duration,
}

/// Asks a server to stop; may be used from any thread.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// Accepts nothing more; answers that were begun go on.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// What was served, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Requests that were answered.
    pub requests: u64,
    /// Bytes of contents and texts in the answers.
    pub bytes: u64,
    /// Connections that were cut because they went on after the deadline.
    pub cut: usize,
    /// Lines of the log that nobody took.
    pub lost_lines: u64,
}

/// A server that listens and accepts nothing yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    identity: Identity,
    site: Site,
    limits: Limits,
}

/// What all connections share.
struct Shared {
    acceptor: TlsAcceptor,
    site: Site,
    limits: Limits,
    log: Log,
}

impl Server {
    /// Begins to listen on `address`; port 0 lets the system choose one.
    pub fn bind(
        address: SocketAddr,
        identity: Identity,
        site: Site,
        limits: Limits,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, identity, site, limits })
    }

    /// Returns the address that is listened on.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Returns what is served.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Serves until it is asked to stop; every answer is a line for `reporter`.
    ///
    /// # Errors
    /// If the operating system gives no threads or no events.
    pub fn run(self, stop: &Stop, reporter: &dyn Reporter) -> std::io::Result<Served> {
        let Self { listener, identity, site, limits } = self;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("serve")
            .max_blocking_threads(DISK_THREADS)
            .enable_all()
            .build()?;
        let (log, lines) = Log::new();
        let counts = log.counts();
        let stopped = stop.0.subscribe();
        let acceptor = TlsAcceptor::from(identity.configuration);
        let shared = Arc::new(Shared { acceptor, site, limits, log });
        std::thread::scope(|scope| {
            // It ends when the last connection has dropped its end of the log.
            scope.spawn(|| lines.into_iter().for_each(|line| reporter.report(line)));
            let cut = runtime.block_on(accept_all(listener, shared, stopped));
            drop(runtime);
            let count = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
            Ok(Served {
                requests: count(&counts.requests),
                bytes: count(&counts.bytes),
                cut: cut?,
                lost_lines: count(&counts.lost),
            })
        })
    }
}

/// Accepts until the stop, then waits for what goes on; returns how many connections had to be cut.
async fn accept_all(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) -> std::io::Result<usize> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(shared.limits.connections));
    let mut connections = JoinSet::new();
    let mut is_full = false;
    loop {
        let (limit, left) = (shared.limits.connections, places.available_permits());
        if left == 0 && !std::mem::replace(&mut is_full, true) {
            shared.log.warn(format!("all {limit} connections are taken: other clients wait until one ends"));
        }
        // One that comes and goes at the limit is not said each time.
        is_full &= left <= limit / 2;
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            _ = stopped.wait_for(|is_stopped| *is_stopped) => break,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                let (shared, stopped) = (Arc::clone(&shared), stopped.clone());
                connections.spawn(async move {
                    serve(stream, client, &shared, stopped).await;
                    drop(place);
                });
            }
            Err(error) => {
                shared.log.warn(format!("cannot accept a connection: {error}"));
                sleep(PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let all_end = async { while connections.join_next().await.is_some() {} };
    match timeout(shared.limits.stop_timeout, all_end).await {
        Ok(()) => Ok(0),
        Err(_) => Ok(connections.len()),
    }
}

async fn serve(stream: TcpStream, client: SocketAddr, shared: &Shared, mut stopped: watch::Receiver<bool>) {
    let Shared { acceptor, site, limits, log } = shared;
    // An answer's head and its first bytes leave together; waiting for more would only delay small ones.
    let _best_effort = stream.set_nodelay(true);
    let handshake = acceptor.accept(Patient::new(stream, limits.write_timeout));
    let stream = match timeout(limits.read_timeout, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            if let Some(reason) = handshake_problem(&error) {
                log.note(format!("{client} {reason}"));
            }
            return;
        }
        Err(_) => return log.note(format!("{client} sends nothing")),
    };
    let answer = |request| async move {
        Ok::<_, std::convert::Infallible>(site.answer(&request, client, log.clone()).await)
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.read_timeout)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    let mut connection = std::pin::pin!(connection);
    let mut is_stopping = false;
    loop {
        let stop = async {
            if is_stopping {
                pending::<()>().await;
            }
            let _stop_is_dropped_last = stopped.wait_for(|is_stopped| *is_stopped).await;
        };
        tokio::select! {
            ended = connection.as_mut() => {
                // How a connection ended is no news otherwise: answers that were cut have a line of their own.
                if let Err(error) = ended && error.is_parse() {
                    log.note(format!("{client} sends no request that can be answered: {error}"));
                }
                return;
            }
            () = stop => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Says why a client and this server have no TLS, if it is worth a line: clients that only look are not.
fn handshake_problem(error: &std::io::Error) -> Option<String> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    if let rustls::Error::InvalidMessage(_) = tls {
        return Some("speaks no TLS: use https://".to_owned());
    }
    let rustls::Error::AlertReceived(alert) = tls else {
        return Some(format!("and this server agree on no TLS: {tls}"));
    };
    let distrust =
        [AlertDescription::UnknownCA, AlertDescription::BadCertificate, AlertDescription::CertificateUnknown];
    let text = if distrust.contains(alert) {
        "does not trust the certificate: give it the kit's registry/ca.crt".to_owned()
    } else if *alert == AlertDescription::CertificateExpired {
        "takes the certificate for expired: look at both clocks, then `seedkit ca renew`".to_owned()
    } else {
        format!("ends the handshake: {tls}")
    };
    Some(text)
}
