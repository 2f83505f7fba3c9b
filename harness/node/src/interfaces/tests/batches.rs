//! Signed batches over plain HTTP.

use super::*;
use crate::service::limits::MAX_BODY_BATCHES;

/// A body of batches.
fn body(batches: &[&[u8]]) -> Vec<u8> {
    let part = |batch: &&[u8]| [&(batch.len() as u32).to_be_bytes()[..], batch].concat();
    batches.iter().flat_map(part).collect()
}

impl Fixture {
    async fn post_batches(&self, query: &str, body: Vec<u8>) -> (StatusCode, Value) {
        let url = format!("http://{}/streams/{PUBLIC}/batches{query}", self.servers.http_addr);
        let answer = self.client.post(url).body(body).send().await.unwrap();
        let status = answer.status();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }
}

#[tokio::test]
async fn several_batches_in_one_body_are_each_answered() {
    let fixture = fixture(true).await;
    let slot = |partition| StreamPartition { stream: PUBLIC, partition };
    let (mut one, mut other) = (lane(slot(0), 9), lane(slot(2), 10));
    let batches = [batch(&mut one, &[10, 20]), batch(&mut other, &[15]), batch(&mut one, &[30])];
    let whole = body(&batches.each_ref().map(|batch| &batch.bytes()[..]));
    let (status, answer) = fixture.post_batches("?ack=sealed", whole.clone()).await;
    assert_eq!((status, &answer["reached"]), (StatusCode::OK, &json!(3)), "{answer}");
    for (batch, answer) in batches.iter().zip(answer["answers"].as_array().unwrap()) {
        assert_eq!(answer["lane"], batch.lane().to_string());
        assert_eq!(answer["sequence"], batch.header().sequence);
        assert_eq!(answer["count"], batch.header().count);
        assert_eq!(answer["level"], "sealed");
    }
    // The same again is the same batches, also where the broker is another one by now.
    fixture.brokers[0].abort();
    let (status, again) = fixture.post_batches("", whole).await;
    assert_eq!((status, &again["reached"]), (StatusCode::OK, &json!(3)), "{again}");
    let (_, all) = fixture.get(&format!("/streams/{PUBLIC}/data/partitions/all/from?fromTimestamp=0")).await;
    assert_eq!(times(&all), [10, 15, 20, 30]);
}

#[tokio::test]
async fn a_refused_batch_takes_no_other_with_it() {
    let fixture = fixture(true).await;
    let slot = StreamPartition { stream: PUBLIC, partition: 1 };
    let (good, bad) = (batch(&mut lane(slot, 9), &[10]), batch(&mut lane(slot, 10), &[666]));
    let outside = batch(&mut lane(StreamPartition { partition: 7, ..slot }, 11), &[10]);
    let whole = body(&[bad.bytes(), good.bytes(), outside.bytes()]);
    let (status, answer) = fixture.post_batches("", whole).await;
    assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("out-of-order")), "{answer}");
    let levels: Vec<&Value> =
        answer["answers"].as_array().unwrap().iter().map(|answer| &answer["level"]).collect();
    assert_eq!(levels, [&Value::Null, &json!("stored"), &Value::Null]);
    assert_eq!(answer["answers"][2]["code"], "invalid");
}

#[tokio::test]
async fn what_is_no_body_of_batches_is_refused_whole() {
    let fixture = fixture(true).await;
    let slot = StreamPartition { stream: PUBLIC, partition: 1 };
    let good = batch(&mut lane(slot, 9), &[10]);
    let elsewhere = batch(&mut lane(StreamPartition { stream: PRIVATE, partition: 1 }, 9), &[10]);
    let mut forged = good.bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let many = vec![&good.bytes()[..]; MAX_BODY_BATCHES + 1];
    let cases = [
        (Vec::new(), "no batch"),
        (body(&[good.bytes()])[..100].to_vec(), "batch 0 is cut short"),
        ([body(&[good.bytes()]), vec![0, 0]].concat(), "batch 1 is cut short"),
        (body(&[good.bytes(), &forged]), "batch 1: "),
        (body(&[elsewhere.bytes()]), "batch 0 is of stream"),
        (body(&many), "at most"),
    ];
    for (body, reason) in cases {
        let (status, answer) = fixture.post_batches("", body).await;
        assert!(status.is_client_error(), "{answer}");
        assert!(answer["reason"].as_str().unwrap().contains(reason), "{answer}");
    }
    let (status, _) = fixture.post_batches("?partition=1", body(&[good.bytes()])).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a batch says by itself where it belongs");
    let (_, all) = fixture.get(&format!("/streams/{PUBLIC}/data/partitions/all/from?fromTimestamp=0")).await;
    assert_eq!(times(&all), Vec::<u64>::new(), "nothing of it was published");
}
