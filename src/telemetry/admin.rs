//! The admin listener: `/metrics`, `/livez`, `/readyz`.
//!
//! It runs on one thread of its own with a small runtime, so that a lane that blocks in the
//! client library cannot keep it from answering. It is bound to loopback unless told
//! otherwise, and answers nothing that came in an event.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::oneshot;

use crate::telemetry::metrics::CONTENT_TYPE;

/// Whether all is well, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// What is missing; empty when all is well. Sentences of ours, never of a sender.
    pub missing: Vec<String>,
}

/// What the listener asks at each request.
pub trait Source: Send + Sync + 'static {
    /// All metrics, as text.
    fn metrics(&self) -> String;
    /// Whether the process makes progress; where not, it is to be restarted.
    fn live(&self) -> Health;
    /// Whether events are being decided.
    fn ready(&self) -> Health;
}

/// A running listener; it ends when this is dropped.
pub struct Admin {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A listener that cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{listen}` for the admin interface")]
pub struct AdminError {
    /// The address asked for.
    pub listen: String,
    /// Why not.
    #[source]
    pub source: std::io::Error,
}

impl Admin {
    /// Binds and begins to answer.
    ///
    /// # Errors
    /// [`AdminError`] where the address cannot be bound.
    pub fn start(listen: &str, source: Arc<dyn Source>) -> Result<Self, AdminError> {
        let wrong = |source| AdminError { listen: listen.to_owned(), source };
        // Bound here and not on the thread, so that a taken port is an error of the start.
        let socket = std::net::TcpListener::bind(listen).map_err(wrong)?;
        socket.set_nonblocking(true).map_err(wrong)?;
        let address = socket.local_addr().map_err(wrong)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(wrong)?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || runtime.block_on(serve(socket, source, stopped)))
            .map_err(wrong)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        // Dropping the sender stops the server.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the admin listener panicked");
        }
    }
}

async fn serve(
    socket: std::net::TcpListener,
    source: Arc<dyn Source>,
    stopped: oneshot::Receiver<()>,
) {
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the admin listener cannot run"),
    };
    let (metrics, live, ready) = (Arc::clone(&source), Arc::clone(&source), source);
    let app = Router::new()
        .route(
            "/metrics",
            get(move || async move { ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.metrics()) }),
        )
        .route("/livez", get(move || async move { answer(&live.live()) }))
        .route("/readyz", get(move || async move { answer(&ready.ready()) }));
    // A graceful shutdown would wait for idle keep-alive connections of scrapers.
    tokio::select! {
        biased;
        _ = stopped => {}
        ended = async { axum::serve(listener, app).await } => {
            if let Err(error) = ended {
                tracing::error!(%error, "the admin listener ended");
            }
        }
    }
}

fn answer(health: &Health) -> Response {
    let ok = health.missing.is_empty();
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({ "ok": ok, "missing": health.missing });
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    struct Half;

    impl Source for Half {
        fn metrics(&self) -> String {
            "# EOF\n".to_owned()
        }
        fn live(&self) -> Health {
            Health::default()
        }
        fn ready(&self) -> Health {
            Health { missing: vec!["lane 0 is warming".to_owned()] }
        }
    }

    fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn the_three_pages_answer_and_the_listener_ends() {
        let admin = Admin::start("127.0.0.1:0", Arc::new(Half)).unwrap();
        let at = admin.address();
        let metrics = ask(at, "/metrics");
        assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains(CONTENT_TYPE), "{metrics}");
        assert!(ask(at, "/livez").contains(r#"{"ok":true,"missing":[]}"#));
        let ready = ask(at, "/readyz");
        assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
        assert!(ready.contains("lane 0 is warming"), "{ready}");
        assert!(ask(at, "/").starts_with("HTTP/1.1 404"));
        drop(admin);
        assert!(TcpStream::connect(at).is_err());
    }

    #[test]
    fn a_taken_port_is_an_error_of_the_start() {
        let first = Admin::start("127.0.0.1:0", Arc::new(Half)).unwrap();
        let error = Admin::start(&first.address().to_string(), Arc::new(Half)).err().unwrap();
        assert!(error.to_string().contains("cannot listen on `127.0.0.1:"), "{error}");
    }
}
