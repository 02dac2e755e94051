use super::super::show::Show;
use super::*;
use crate::flow::spill::Spiller;
use crate::flow::spill::tests::Shelf;

fn show(arguments: &[&str]) -> Show {
    match dead(&[&["show"], arguments].concat()) {
        Command::Show(show) => show,
        _ => panic!("another command"),
    }
}

/// What is shown of the only letter: for people, and for machines.
async fn shown(bus: &Bus, shelf: &Shelf, options: &[&str]) -> [String; 2] {
    let topic = bus.topic().await;
    let shown = show(&[&["dlq/1@0"], options].concat()).look_at(Some(&topic), shelf).await;
    let shown = shown.unwrap_or_else(|_| panic!("it failed"));
    [shown.to_string(), serde_json::to_string(&shown).unwrap()]
}

async fn bus(record: Record) -> Bus {
    let bus = Bus::new();
    bus.write("dlq", record).await;
    bus
}

fn plain() -> Record {
    letter("fetch", "a", Class::Rejected, "gone")
}

#[tokio::test]
async fn a_letter_is_shown_with_what_failed_where_from_and_its_own_headers() {
    let mut record = plain();
    let failure = r#"[{"at":"2026-03-02T14:05:11.000Z","code":"stalled","text":"no byte for 60 s"}]"#;
    record.headers.set("lockgate-failures", failure);
    let bus = bus(record).await;
    bus.write("dlq", mark(&at("dlq/1@0"))).await;
    for told in shown(&bus, &Shelf::default(), &[]).await {
        for fact in
            ["fetch", "rejected", "gone", "claims/3@812", "t-1", "stalled", "no byte for 60 s", "insured person"]
        {
            assert!(told.contains(fact), "{fact} is missing in {told}");
        }
        assert!(told.contains("\"redriven\":1") || told.contains("redriven    yes"), "{told}");
    }
}

#[tokio::test]
async fn the_payload_is_shown_when_asked_for_and_queries_only_when_asked_for_them() {
    let (bus, shelf) = (bus(plain()).await, Shelf::default());
    for told in shown(&bus, &shelf, &[]).await {
        assert!(!told.contains("\"name\"") && !told.contains("\\\"name\\\"") && !told.contains("SENTINEL"), "{told}");
    }
    for told in shown(&bus, &shelf, &["--payload"]).await {
        assert!(told.contains("a.pdf?…") && told.contains("name") && !told.contains("SENTINEL"), "{told}");
    }
    for told in shown(&bus, &shelf, &["--payload", "--raw"]).await {
        assert!(told.contains("{") && told.contains("X-Amz-Signature=SENTINEL"), "{told}");
    }
}

#[tokio::test]
async fn a_header_whose_name_tells_a_secret_is_shown_only_when_it_is_asked_for() {
    let mut record = plain();
    for name in ["Authorization", "x-api-key", "cookie"] {
        record.headers.push(name, "SENTINEL-of-a-header");
    }
    let (bus, shelf) = (bus(record).await, Shelf::default());
    for told in shown(&bus, &shelf, &["--payload"]).await {
        assert!(told.contains("x-api-key") && !told.contains("SENTINEL"), "{told}");
    }
    for told in shown(&bus, &shelf, &["--payload", "--raw"]).await {
        assert_eq!(told.matches("SENTINEL-of-a-header").count(), 3, "{told}");
    }
}

#[tokio::test]
async fn a_long_payload_is_cut_and_no_cut_leaves_a_query() {
    for before in [4000, 4090, 65_500, 65_530] {
        let payload = format!("{} https://s3/a.pdf?X-Amz-Signature=SENTINEL{}", "x".repeat(before), "S".repeat(70_000));
        let bus = bus(Record { payload: payload.into(), ..plain() }).await;
        let [text, _] = shown(&bus, &Shelf::default(), &["--payload"]).await;
        assert!(text.ends_with('…') && text.len() < 6000 && !text.contains("SENT"), "{}", text.len());
    }
}

#[tokio::test]
async fn a_spilled_payload_is_read_back_to_show_it() {
    let shelf = Arc::new(Shelf::default());
    let spiller = Spiller { pipeline: "fetch".into(), spill: shelf.clone() };
    let record = spiller.shrink(&plain()).await.unwrap().unwrap();
    let bus = bus(record).await;
    let [text, _] = shown(&bus, &shelf, &["--payload"]).await;
    assert!(text.contains("spilled to  shelf/dead-letters/fetch/a/payload-") && text.contains("a.pdf?…"), "{text}");
}

#[tokio::test]
async fn what_is_no_letter_is_told_and_not_shown() {
    let bus = bus(plain()).await;
    bus.write("dlq", mark(&at("dlq/1@0"))).await;
    bus.write("dlq", Record { partition: Some(1), ..Record::default() }).await;
    let topic = bus.topic().await;
    for (address, why) in [("dlq/1@1", "marks dlq/1@0"), ("dlq/1@2", "no dead letter"), ("dlq/1@9", "nothing stands")] {
        match show(&[address]).look_at(Some(&topic), &Shelf::default()).await {
            Err(crate::cli::Failure::Runtime(error)) => assert!(error.to_string().contains(why), "{error}"),
            _ => panic!("it did not fail"),
        }
    }
}
