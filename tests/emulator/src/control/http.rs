//! The same over HTTP, with JSON.
//!
//! | request | body | does |
//! |---|---|---|
//! | `GET /` | | tells what goes wrong, what hubs hold, and who reads them |
//! | `PUT /faults` | [`Faults`] | lets that go wrong and nothing else; `{}` lets nothing go wrong |
//! | `POST /drop` | | drops every connection |
//! | `POST /expire` | | lets every token expire |
//! | `POST /steal` | `{"hub", "group", "partition"}` | ends those that read a partition |
//! | `POST /hubs/NAME` | [`Hub`] | adds a hub |
//! | `POST /hubs/NAME/groups/GROUP` | | adds a consumer group, unless it is there |
//! | `PUT /hubs/NAME` | `{"status"}` | switches a hub on or off |
//! | `PUT /hubs/NAME/faults` | [`Faults`] | lets that go wrong with the hub and nothing else |
//! | `POST /hubs/NAME/drop` | | drops every connection that has a link to the hub |
//! | `POST /hubs/NAME/expire` | | lets the tokens of those expire that are good for the hub |
//! | `POST /hubs/NAME/forget` | `{"partition", "before"}` | lets go of events before a sequence number |

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Control;
use crate::config::{Hub, Status};
use crate::emulator::{NotAdded, Unknown};
use crate::faults::Faults;

/// Answers until it is dropped.
pub(crate) async fn serve(listener: TcpListener, control: Control) {
    let router = Router::new()
        .route("/", get(state))
        .route("/faults", put(set_faults))
        .route("/drop", post(drop_connections))
        .route("/expire", post(expire_tokens))
        .route("/steal", post(steal))
        .route("/hubs/{name}", post(add_hub).put(switch))
        .route("/hubs/{name}/groups/{group}", post(add_group))
        .route("/hubs/{name}/partitions", put(grow))
        .route("/hubs/{name}/faults", put(set_faults_of))
        .route("/hubs/{name}/drop", post(drop_connections_of))
        .route("/hubs/{name}/expire", post(expire_tokens_of))
        .route("/hubs/{name}/forget", post(forget))
        .with_state(control);
    // Ends only when it is aborted.
    let _ = axum::serve(listener, router).await;
}

/// Why a request is not done.
enum Failure {
    Malformed(serde_json::Error),
    Unknown(Unknown),
    NotAdded(NotAdded),
}

impl From<Unknown> for Failure {
    fn from(unknown: Unknown) -> Self {
        Self::Unknown(unknown)
    }
}

impl From<NotAdded> for Failure {
    fn from(not_added: NotAdded) -> Self {
        Self::NotAdded(not_added)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::Malformed(error) => (StatusCode::BAD_REQUEST, error.to_string()),
            Self::Unknown(unknown) => (StatusCode::NOT_FOUND, unknown.to_string()),
            Self::NotAdded(error @ NotAdded::Exists(_)) => (StatusCode::CONFLICT, error.to_string()),
            Self::NotAdded(error @ NotAdded::Invalid(_)) => (StatusCode::BAD_REQUEST, error.to_string()),
        };
        (status, answer(&json!({ "error": error }))).into_response()
    }
}

type Answer = Result<Response, Failure>;

fn answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(Failure::Malformed)
}

async fn state(State(control): State<Control>) -> Response {
    answer(&control.state())
}

async fn set_faults(State(control): State<Control>, body: Bytes) -> Answer {
    control.set_faults(read(&body)?);
    Ok(answer(&json!(control.faults())))
}

async fn drop_connections(State(control): State<Control>) -> Response {
    control.drop_connections();
    answer(&json!({}))
}

async fn expire_tokens(State(control): State<Control>) -> Response {
    control.expire_tokens();
    answer(&json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Steal {
    hub: String,
    group: String,
    partition: String,
}

async fn steal(State(control): State<Control>, body: Bytes) -> Answer {
    let Steal { hub, group, partition } = read(&body)?;
    Ok(answer(&json!({ "stolen": control.steal(&hub, &group, &partition)? })))
}

async fn add_hub(State(control): State<Control>, Path(name): Path<String>, body: Bytes) -> Answer {
    let hub: Hub = read(&body)?;
    control.add_hub(&name, &hub)?;
    Ok((StatusCode::CREATED, answer(&json!({ "status": hub.status }))).into_response())
}

async fn add_group(State(control): State<Control>, Path((hub, group)): Path<(String, String)>) -> Answer {
    control.add_group(&hub, &group)?;
    Ok(answer(&json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grow {
    partitions: usize,
}

async fn grow(State(control): State<Control>, Path(name): Path<String>, body: Bytes) -> Answer {
    let Grow { partitions } = read(&body)?;
    control.grow(&name, partitions)?;
    Ok(answer(&json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    status: Status,
}

async fn switch(State(control): State<Control>, Path(name): Path<String>, body: Bytes) -> Answer {
    let Switch { status } = read(&body)?;
    control.switch(&name, status)?;
    Ok(answer(&json!({ "status": status })))
}

async fn set_faults_of(State(control): State<Control>, Path(name): Path<String>, body: Bytes) -> Answer {
    let faults: Faults = read(&body)?;
    control.set_faults_of(&name, faults.clone())?;
    Ok(answer(&json!(faults)))
}

async fn drop_connections_of(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    control.drop_connections_of(&name)?;
    Ok(answer(&json!({})))
}

async fn expire_tokens_of(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    control.expire_tokens_of(&name)?;
    Ok(answer(&json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forget {
    partition: String,
    before: i64,
}

async fn forget(State(control): State<Control>, Path(name): Path<String>, body: Bytes) -> Answer {
    let Forget { partition, before } = read(&body)?;
    control.forget(&name, &partition, before)?;
    Ok(answer(&json!(control.extent(&name, &partition)?)))
}
