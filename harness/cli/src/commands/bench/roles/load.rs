//! The loading end: whoever publishes and reads, in a process of its own.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::edge::{Connect, Edge, Prepare};
use crate::failure::Failure;

/// What the load can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Become an edge of a network.
    Connect(Box<Connect>),
    /// Sign batches. Answered by [`super::edge::Prepared`].
    Prepare(Prepare),
    /// Bring them. Answered by [`super::edge::Brought`].
    Bring,
}

/// The role's state.
#[derive(Default)]
pub struct Load {
    edge: Option<Edge>,
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
            Request::Bring => self.with_edge(|edge| Ok(json!(edge.bring()?))).await,
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
