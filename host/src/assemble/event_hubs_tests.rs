//! What a start finds wrong in a namespace of Event Hubs: all of it at once.

use eventhubs_emulator::Emulator;
use eventhubs_emulator::config::{Config, DEFAULT_KEY, Hub};

use super::*;

fn spec(folder: &Path, ca: &Path) -> PathBuf {
    let spec = folder.join("pipelines.yaml");
    let text = format!(
        "
lockgate: 1
secrets: {{ hubs: {{ env: HUBS }} }}
transports:
  bus:
    event_hubs: {{ connection_string: '${{secrets.hubs}}', checkpoints: lake, ca: '{1}' }}
    topics: {{ claims: {{ name: prod-claims }} }}
stores: {{ lake: {{ directory: {{ path: '{0}/lake' }} }} }}
plugins: {{ worker: {{ component: worker.wasm }} }}
defaults:
  plugin: worker
  retry: {{ later: {{ topic: parked, delays: [1m, 5m] }} }}
  dead_letter: {{ topic: dlq, spill: lake }}
pipelines:
  one: {{ from: {{ topic: claims }} }}
  two: {{ from: {{ topic: claims, group: readers }} }}
  three: {{ from: {{ topic: nowhere }} }}
",
        folder.display(),
        ca.display()
    );
    let written = std::fs::write(&spec, text);
    assert!(written.is_ok(), "{written:?}");
    spec
}

#[tokio::test]
async fn hubs_and_groups_that_are_missing_are_named_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let hub = |groups: &[&str]| Hub {
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..Hub::new(2.try_into().unwrap())
    };
    let config = Config { ca: Some(ca.clone()), ..Config::default() }.with_key(DEFAULT_KEY, "SAS_KEY_VALUE");
    let config = config.with_hub("prod-claims", hub(&["one"])).with_hub("parked", hub(&["one", "readers"]));
    let emulator = Emulator::start(config).await.unwrap();
    let plan = plan(&[spec(folder.path(), &ca)], &[]).unwrap_or_else(|errors| panic!("{}", errors.to_json()));
    let connection_string = emulator.connection_string(DEFAULT_KEY).unwrap();
    let secrets = Secrets(BTreeMap::from([("hubs".to_owned(), Secret::new(connection_string))]));
    let used: BTreeSet<(&str, &str)> = plan.pipelines.values().flat_map(places).collect();
    let reads: Vec<plan::From> = plan.pipelines.values().flat_map(|pipeline| pipeline.reads()).collect();
    let transports = Transports::new(&plan, ["bus"].into_iter(), &Surroundings::default(), &secrets).unwrap();
    let Looked { mut errors, partitions } = transports.look(&used, &reads).await;
    errors.sort();
    assert_eq!(partitions, BTreeMap::from([(("bus", "claims"), 2), (("bus", "parked"), 2)]));
    let beginnings = [
        "event hubs are made beside Lockgate",
        "topic `claims` of transport bus has no consumer group `readers`",
        "topic `parked` of transport bus has no consumer group `three`",
        "transport bus has no topic `dlq`",
        "transport bus has no topic `nowhere`",
    ];
    assert_eq!(errors.len(), beginnings.len(), "{errors:#?}");
    for (error, beginning) in errors.iter().zip(beginnings) {
        assert!(error.starts_with(beginning), "{error}");
    }
}
