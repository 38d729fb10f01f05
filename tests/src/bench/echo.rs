//! The floor: a bare tonic unary echo on a unix socket. It speaks the generated `Mint`, and answers with its bytes.

use std::path::Path;

use anyhow::Context as _;
use claviger_proto::v1;
use claviger_proto::v1::adapter_service_client::AdapterServiceClient;
use claviger_proto::v1::adapter_service_server::{AdapterService, AdapterServiceServer};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

/// How many bytes go there, and come back.
pub(crate) const BYTES: usize = 128;

struct Echo;

#[tonic::async_trait]
impl AdapterService for Echo {
    type DownloadStream = tokio_stream::Empty<Result<v1::DownloadFrame, Status>>;
    type UploadStream = tokio_stream::Empty<Result<v1::UploadReply, Status>>;

    async fn list_tools(
        &self,
        _: Request<v1::ListToolsRequest>,
    ) -> Result<Response<v1::ListToolsResponse>, Status> {
        Err(Status::unimplemented("an echo has no tools"))
    }

    async fn mint(&self, request: Request<v1::MintRequest>) -> Result<Response<v1::MintResponse>, Status> {
        let capability = request.into_inner().arguments;
        Ok(Response::new(v1::MintResponse { capability, ..v1::MintResponse::default() }))
    }

    async fn send(&self, _: Request<v1::SendRequest>) -> Result<Response<v1::SendResponse>, Status> {
        Err(Status::unimplemented("an echo sends nothing"))
    }

    async fn download(&self, _: Request<v1::SendRequest>) -> Result<Response<Self::DownloadStream>, Status> {
        Err(Status::unimplemented("an echo sends nothing"))
    }

    async fn upload(
        &self,
        _: Request<Streaming<v1::UploadFrame>>,
    ) -> Result<Response<Self::UploadStream>, Status> {
        Err(Status::unimplemented("an echo sends nothing"))
    }
}

/// Serves until killed.
///
/// # Errors
/// The socket cannot be made.
pub(crate) async fn serve(socket: &Path) -> anyhow::Result<()> {
    let listener = UnixListener::bind(socket).context("the echo's socket")?;
    let serving = Server::builder().add_service(AdapterServiceServer::new(Echo));
    serving.serve_with_incoming(UnixListenerStream::new(listener)).await.context("the echo ended")
}

/// One echo.
///
/// # Errors
/// What came back is not what was sent.
pub(crate) async fn once(mut client: AdapterServiceClient<Channel>) -> anyhow::Result<()> {
    let request = v1::MintRequest { presentation: String::new(), arguments: vec![7; BYTES] };
    let answer = client.mint(request).await?.into_inner();
    anyhow::ensure!(answer.capability.len() == BYTES, "the echo answered something else");
    Ok(())
}
