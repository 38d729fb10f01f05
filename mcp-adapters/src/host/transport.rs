//! A transport that stops reading while its peer does not read.

use rmcp::RoleServer;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::watch;

/// How many answers may wait for a peer before no more of its requests are read.
const UNREAD: usize = 64;

/// Wraps a transport. Without it, a peer that asks and never reads makes answers pile up in memory.
pub(super) struct Patient<T> {
    inner: T,
    waiting: watch::Sender<usize>,
}

impl<T> Patient<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, waiting: watch::Sender::new(0) }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Patient<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let waiting = Waiting::begin(&self.waiting);
        let sent = self.inner.send(item);
        async move {
            let result = sent.await;
            drop(waiting);
            result
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        // Both waits lose nothing when they are dropped halfway, as the service's loop does.
        let mut waiting = self.waiting.subscribe();
        waiting.wait_for(|&count| count < UNREAD).await.ok()?;
        self.inner.receive().await
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}

/// One answer that was not written yet.
struct Waiting(watch::Sender<usize>);

impl Waiting {
    fn begin(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
