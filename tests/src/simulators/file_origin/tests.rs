use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, ETAG, IF_RANGE, LOCATION, RANGE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};

use super::*;

const SIZE: u64 = 200_000;

struct Asked {
    origin: FileOrigin,
    client: Client,
    path: FilePath,
}

impl Asked {
    async fn of(behaviour: Behaviour) -> Self {
        let origin = FileOrigin::start(Ports::ANY, Duration::from_millis(1)).await.unwrap();
        let client = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Self { origin, client, path: FilePath { behaviour, size: SIZE, name: "a.jpg".into() } }
    }

    async fn get(&self) -> Response {
        self.client.get(self.origin.url(&self.path)).send().await.unwrap()
    }

    async fn rest(&self, from: u64, etag: &str) -> Response {
        let request = self.client.get(self.origin.url(&self.path)).header(RANGE, format!("bytes={from}-"));
        request.header(IF_RANGE, etag).send().await.unwrap()
    }

    fn whole(&self) -> bytes::Bytes {
        self.path.final_content("").unwrap().read(0, SIZE)
    }
}

/// What of a body came before it ended early.
async fn broken_body(mut response: Response) -> Vec<u8> {
    let mut came = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => came.extend(chunk),
            Ok(None) => panic!("the body came whole"),
            Err(_) => return came,
        }
    }
}

#[tokio::test]
async fn a_fine_file_is_served_whole_with_its_type_and_version() {
    let asked = Asked::of(Behaviour::Fine).await;
    let response = asked.get().await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "image/jpeg");
    assert!(response.headers().contains_key(ETAG));
    assert_eq!(response.content_length(), Some(SIZE));
    assert_eq!(response.bytes().await.unwrap(), asked.whole());
    assert_eq!(asked.origin.requests(&asked.path), 1);
}

#[tokio::test]
async fn a_name_without_an_extension_has_one_in_the_query() {
    let mut asked = Asked::of(Behaviour::Fine).await;
    asked.path.name = "81530077".into();
    let url = format!("{}?filename=kitchen.png&sign=x", asked.origin.url(&asked.path));
    let response = asked.client.get(url).send().await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "image/png");
    let content = asked.path.final_content("kitchen.png").unwrap();
    assert_eq!(response.bytes().await.unwrap(), content.read(0, SIZE));
}

#[tokio::test]
async fn refusals_have_their_status() {
    for (behaviour, status) in [(Behaviour::Missing, 404), (Behaviour::Expired, 403)] {
        assert_eq!(Asked::of(behaviour).await.get().await.status(), status);
    }
}

#[tokio::test]
async fn what_is_unavailable_twice_is_fine_then() {
    let asked = Asked::of(Behaviour::UnavailableTwice).await;
    for status in [503, 503, 200, 200] {
        assert_eq!(asked.get().await.status(), status);
    }
}

#[tokio::test]
async fn a_cut_body_is_had_whole_by_ranges() {
    let asked = Asked::of(Behaviour::CutResumable).await;
    let response = asked.get().await;
    let etag = response.headers()[ETAG].to_str().unwrap().to_owned();
    let mut came = broken_body(response).await;
    assert!(!came.is_empty());
    came.extend(broken_body(asked.rest(came.len() as u64, &etag).await).await);
    let last = asked.rest(came.len() as u64, &etag).await;
    assert_eq!(last.status(), StatusCode::PARTIAL_CONTENT);
    came.extend(last.bytes().await.unwrap());
    assert_eq!(came, asked.whole());
}

#[tokio::test]
async fn where_ranges_are_unknown_a_cut_body_begins_anew() {
    let asked = Asked::of(Behaviour::CutOnce).await;
    let response = asked.get().await;
    assert!(!response.headers().contains_key(ETAG));
    broken_body(response).await;
    let again = asked.rest(10, "\"x\"").await;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(again.bytes().await.unwrap(), asked.whole());

    let asked = Asked::of(Behaviour::CutAlways).await;
    for _ in 0..4 {
        broken_body(asked.get().await).await;
    }
}

#[tokio::test]
async fn the_rest_of_a_replaced_file_is_the_whole_new_one() {
    let asked = Asked::of(Behaviour::Replaced).await;
    let response = asked.get().await;
    let etag = response.headers()[ETAG].to_str().unwrap().to_owned();
    let old = broken_body(response).await;
    let new = asked.rest(old.len() as u64, &etag).await;
    assert_eq!(new.status(), StatusCode::OK);
    let new = new.bytes().await.unwrap();
    assert_eq!(new, asked.whole());
    assert_ne!(new[..old.len()], old);
}

#[tokio::test]
async fn an_empty_file_and_a_wrong_type_look_fine_at_first() {
    let empty = Asked::of(Behaviour::Empty).await.get().await;
    assert_eq!((empty.status(), empty.content_length()), (StatusCode::OK, Some(0)));
    let wrong = Asked::of(Behaviour::WrongType).await.get().await;
    assert_eq!((wrong.status(), &wrong.headers()[CONTENT_TYPE]), (StatusCode::OK, &"text/html".parse().unwrap()));
}

#[tokio::test]
async fn redirects_lead_to_the_mirror_or_astray() {
    let asked = Asked::of(Behaviour::Redirect).await;
    let response = asked.get().await;
    assert_eq!(response.status(), StatusCode::FOUND);
    let location = response.headers()[LOCATION].to_str().unwrap();
    assert!(location.starts_with(&format!("http://127.0.0.1:{}/", asked.origin.ports().mirror)), "{location}");
    let there = asked.client.get(location).send().await.unwrap();
    assert_eq!(there.bytes().await.unwrap(), asked.whole());
    assert_eq!(asked.origin.strayed(), 0);

    let asked = Asked::of(Behaviour::RedirectForbidden).await;
    let response = asked.get().await;
    asked.client.get(response.headers()[LOCATION].to_str().unwrap()).send().await.unwrap();
    assert_eq!(asked.origin.strayed(), 1);
}

#[tokio::test]
async fn a_range_behind_the_end_cannot_be_had() {
    let asked = Asked::of(Behaviour::Fine).await;
    let request = asked.client.get(asked.origin.url(&asked.path)).header(RANGE, format!("bytes={SIZE}-"));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::RANGE_NOT_SATISFIABLE);
}
