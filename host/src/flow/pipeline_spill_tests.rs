//! Messages of which a part lies in a store.

use super::*;
use crate::flow::spill::Spiller;
use crate::flow::spill::tests::Shelf;

/// The first message, its payload spilled to a shelf.
async fn spilled(payload: &'static str) -> (SourceEvent, Arc<Shelf>) {
    let shelf = Arc::new(Shelf::default());
    let spiller = Spiller { pipeline: "p".into(), spill: shelf.clone() };
    let whole = message(0, payload);
    let record = Record { payload: whole.payload.clone(), ..Record::default() };
    let record = spiller.shrink(&record).await.unwrap().unwrap();
    (batch(vec![Message { headers: record.headers, payload: record.payload, ..whole }]), shelf)
}

/// Runs them for two minutes; half a minute after the start the shelf is in order.
async fn run(messages: SourceEvent, shelf: Option<Arc<Shelf>>) -> (Vec<(i64, u32)>, Vec<Record>, Counts) {
    let assignment = Assignment { partition: partition(), epoch: Epoch(1), checkpoint: None, checkpoint_limit: None };
    let events = [SourceEvent::Assigned(vec![assignment]), messages].map(|event| (Instant::now(), event));
    let (plugin, letters) = (Arc::new(Obedient::default()), Arc::new(Letters::default()));
    let spill = shelf.clone().map(|shelf| shelf as _);
    let router = Router { pipeline: "p".into(), outputs: [].into(), dead_letter: letters.clone(), retry: None, spill };
    let source = Box::new(Scripted { events: events.into(), stored: Arc::default(), slow_epoch: None });
    let parts = Parts { source, plugin: plugin.clone(), router: Arc::new(router), clock: Clock::system() };
    let (commands, mut inbox) = mpsc::channel(1);
    let pipeline = Pipeline::new(settings(config::Order::None), parts);
    let pipeline = tokio::spawn(async move { pipeline.run(&mut inbox).await });
    tokio::time::sleep(Duration::from_secs(30)).await;
    if let Some(shelf) = shelf {
        *shelf.trouble.lock().unwrap() = None;
    }
    tokio::time::sleep(Duration::from_secs(90)).await;
    let _ = commands.send(Command::Stop).await;
    let (_, last) = pipeline.await.unwrap();
    (plugin.calls.lock().unwrap().clone(), letters.records.lock().unwrap().clone(), last.counts)
}

#[tokio::test(start_paused = true)]
async fn the_plugin_gets_a_spilled_message_whole() {
    let (messages, shelf) = spilled("done").await;
    let (calls, _, counts) = run(messages, Some(shelf)).await;
    assert_eq!((calls, counts.done), (vec![(0, 1)], 1));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_holds_the_pipeline_and_uses_no_attempt() {
    let (messages, shelf) = spilled("done").await;
    *shelf.trouble.lock().unwrap() = Some("down".into());
    let (calls, letters, counts) = run(messages, Some(shelf)).await;
    assert_eq!((calls, letters.len(), counts.done), (vec![(0, 1)], 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_spilled_body_is_gone_or_another_becomes_a_letter_that_says_where_it_was() {
    for body in [None, Some(Bytes::from_static(b"done"))] {
        let (messages, shelf) = spilled("bad").await;
        match body {
            None => shelf.kept.lock().unwrap().clear(),
            Some(body) => shelf.kept.lock().unwrap().values_mut().for_each(|kept| *kept = body.clone()),
        }
        let (calls, letters, _) = run(messages, Some(shelf)).await;
        assert_eq!((calls.len(), letters.len()), (0, 1));
        let told = |name: &str| letters[0].headers.text(name);
        assert_eq!((told("lockgate-class"), told("lockgate-code")), (Some("refused"), Some("spilled-body-gone")));
        assert!(told("lockgate-spilled-payload").is_some() && told("lockgate-spilled-payload-sha256").is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_store_a_spilled_message_becomes_a_letter_and_is_not_run_without_its_body() {
    let (messages, _) = spilled("done").await;
    let (calls, letters, _) = run(messages, None).await;
    assert_eq!(calls.len(), 0);
    assert!(letters[0].headers.text("lockgate-reason").unwrap().contains("`dead_letter.spill`"));
}

#[tokio::test(start_paused = true)]
async fn the_letter_of_a_spilled_message_tells_where_its_body_lies_and_is_restored_from_there() {
    let (messages, shelf) = spilled("bad").await;
    let (_, letters, _) = run(messages, Some(shelf.clone())).await;
    assert_eq!((letters[0].payload.len(), letters[0].headers.text("lockgate-code")), (0, Some("bad")));
    let letter = Message { headers: letters[0].headers.clone(), payload: Bytes::new(), ..message(0, "") };
    assert_eq!(crate::flow::spill::restore(letter, &*shelf).await.unwrap().payload, "bad");
}
