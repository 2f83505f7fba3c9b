//! The loading end: whoever publishes and reads, in a process of its own.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::clients::{self, Last, Publish};
use super::edge::{Connect, Edge, Prepare};
use super::readers::{Follow, Readers};
use crate::failure::Failure;

/// What the load can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Become an edge of a network.
    Connect(Box<Connect>),
    /// Sign batches. Answered by [`super::edge::Prepared`].
    Prepare(Prepare),
    /// Bring them, no more frames a second than this. Answered by [`super::edge::Brought`].
    Bring(Option<f64>),
    /// Read every lane's stream partition. Answered by [`super::edge::Scanned`].
    Scan,
    /// Publish and subscribe as a user does. Answered by [`super::clients::Latencies`].
    Publish(Publish),
    /// Ask for the last events again and again. Answered by the milliseconds of each.
    Last(Last),
    /// Open subscriptions.
    Follow(Follow),
    /// Wait until each subscription has had so many events since the last time; those that are stalled do not count.
    /// Answered by [`super::readers::Had`].
    Await(u64),
}

/// The role's state.
#[derive(Default)]
pub struct Load {
    edge: Option<Edge>,
    readers: Readers,
}

impl Load {
    /// Does what is asked.
    pub async fn answer(&mut self, request: Request) -> Result<Value, Failure> {
        match request {
            Request::Connect(connect) => {
                let runtime = tokio::runtime::Handle::current();
                let edge = blocking(move || Edge::connect(&connect, runtime)).await?;
                self.edge = Some(edge);
                Ok(Value::Null)
            }
            Request::Prepare(wanted) => self.with_edge(move |edge| Ok(json!(edge.prepare(wanted)?))).await,
            Request::Bring(pace) => self.with_edge(move |edge| Ok(json!(edge.bring(pace)?))).await,
            Request::Scan => self.with_edge(|edge| Ok(json!(edge.scan()?))).await,
            Request::Publish(publish) => Ok(json!(clients::publish(&publish).await?)),
            Request::Last(last) => Ok(json!(clients::last(&last).await?)),
            Request::Follow(follow) => {
                self.readers.open(&follow).await?;
                Ok(Value::Null)
            }
            Request::Await(events) => Ok(json!(self.readers.wait_for(events).await?)),
        }
    }

    /// Runs what blocks where it may.
    async fn with_edge<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Edge) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let edge = self.edge.take();
        let mut edge = edge.ok_or_else(|| Failure::Failed("it is connected to no broker".into()))?;
        let (edge, result) = blocking(move || {
            let result = work(&mut edge);
            (edge, result)
        })
        .await;
        self.edge = Some(edge);
        result
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the work does not panic")
}
