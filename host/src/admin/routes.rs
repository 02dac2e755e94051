//! What is asked and told where.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State as Extract};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::future::join_all;
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;
use tracing::info;

use super::status::{Pipeline, State, Status};
use super::{Served, guard, metrics};
use crate::flow::remote::Look;
use crate::model::Clock;

/// How long a pipeline may take to answer before it counts as silent.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How long a request may take.
const LONGEST_REQUEST: Duration = Duration::from_secs(10);

/// What is served.
pub(super) struct Host {
    pub(super) pipelines: Vec<Served>,
    pub(super) listen: SocketAddr,
    pub(super) clock: Clock,
}

/// Everything there is.
pub(super) fn router(pipelines: Vec<Served>, listen: SocketAddr, clock: Clock) -> Router {
    let host = Arc::new(Host { pipelines, listen, clock });
    Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(expose))
        .route("/status", get(status))
        .route("/pipelines/{name}/pause", post(pause))
        .route("/pipelines/{name}/resume", post(resume))
        .fallback(nothing)
        .layer(from_fn_with_state(host.clone(), admit))
        .with_state(host)
}

impl Host {
    /// Asks all pipelines at once.
    pub(super) async fn status(&self) -> Status {
        let looks = join_all(self.pipelines.iter().map(look)).await;
        let told = self.pipelines.iter().zip(looks);
        let told = told.map(|(served, look)| (&**served.remote.pipeline(), &served.about, look));
        Status::new(told, self.clock.wall())
    }
}

async fn look(served: &Served) -> Option<Look> {
    timeout(PATIENCE, served.remote.look()).await.ok()
}

/// Refuses whom it must, and ends what takes too long.
async fn admit(Extract(host): Extract<Arc<Host>>, request: Request, next: Next) -> Response {
    if let Some((status, why)) = guard::refusal(request.headers(), host.listen) {
        return refuse(status, why);
    }
    let answer = timeout(LONGEST_REQUEST, next.run(request)).await;
    answer.unwrap_or_else(|_| refuse(StatusCode::SERVICE_UNAVAILABLE, "this takes too long"))
}

async fn live(Extract(host): Extract<Arc<Host>>) -> Response {
    let status = host.status().await;
    let silent = |pipeline: &&Pipeline| pipeline.state == State::Silent;
    let silent: Vec<&str> = status.pipelines.iter().filter(silent).map(|pipeline| pipeline.name.as_str()).collect();
    verdict(silent.is_empty(), &json!({ "live": silent.is_empty(), "silent": silent }))
}

async fn ready(Extract(host): Extract<Arc<Host>>) -> Response {
    let pipelines: Vec<Ready> = host.status().await.pipelines.into_iter().map(Ready::new).collect();
    let ready = pipelines.iter().all(|pipeline| pipeline.ready);
    verdict(ready, &json!({ "ready": ready, "pipelines": pipelines }))
}

/// Whether a pipeline takes messages.
#[derive(Serialize)]
struct Ready {
    name: String,
    ready: bool,
    state: State,
    reason: Option<String>,
}

impl Ready {
    fn new(pipeline: Pipeline) -> Self {
        let Pipeline { name, state, reason, .. } = pipeline;
        Self { name, ready: state == State::Running, state, reason }
    }
}

async fn expose(Extract(host): Extract<Arc<Host>>) -> Response {
    match metrics::text(host.status().await) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE), (CACHE_CONTROL, "no-store")], text).into_response(),
        Err(std::fmt::Error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written as text"),
    }
}

async fn status(Extract(host): Extract<Arc<Host>>) -> Response {
    answer(StatusCode::OK, &host.status().await)
}

async fn pause(Extract(host): Extract<Arc<Host>>, Path(name): Path<String>) -> Response {
    tell(&host, &name, Word::Pause).await
}

async fn resume(Extract(host): Extract<Arc<Host>>, Path(name): Path<String>) -> Response {
    tell(&host, &name, Word::Resume).await
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Word {
    Pause,
    Resume,
}

/// Tells a pipeline, and answers with how it is then.
async fn tell(host: &Host, name: &str, word: Word) -> Response {
    let Some(served) = host.pipelines.iter().find(|served| **served.remote.pipeline() == *name) else {
        let names: Vec<&str> = host.pipelines.iter().map(|served| &**served.remote.pipeline()).collect();
        let name: String = name.chars().take(64).collect();
        let why = format!("this host runs no pipeline `{name}`; it runs {}", names.join(", "));
        return refuse(StatusCode::NOT_FOUND, &why);
    };
    let told = timeout(PATIENCE, async {
        match word {
            Word::Pause => served.remote.pause().await,
            Word::Resume => served.remote.resume().await,
        }
        served.remote.look().await
    });
    let Ready { name, state, reason, .. } = Ready::new(Pipeline::new(name, &served.about, told.await.ok()));
    info!(pipeline = name, command = ?word, state = state.as_str(), "told by an operator");
    let status = match state {
        State::Silent => StatusCode::SERVICE_UNAVAILABLE,
        State::Stopped | State::Failed => StatusCode::CONFLICT,
        _ => StatusCode::OK,
    };
    answer(status, &json!({ "name": name, "state": state, "reason": reason }))
}

async fn nothing() -> Response {
    refuse(
        StatusCode::NOT_FOUND,
        "there are /live, /ready, /metrics, /status, and POST /pipelines/NAME/pause or /resume",
    )
}

fn verdict(good: bool, told: &impl Serialize) -> Response {
    answer(if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, told)
}

fn refuse(status: StatusCode, why: &str) -> Response {
    answer(status, &json!({ "error": why }))
}

fn answer(status: StatusCode, told: &impl Serialize) -> Response {
    match serde_json::to_string(told) {
        Ok(text) => (status, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
