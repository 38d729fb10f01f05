//! `Debug` for messages that carry a secret, or what an agent says: their name and nothing else.

use std::fmt;

use crate::v1;

macro_rules! silent {
    ($($message:ty),* $(,)?) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($message), "(…)"))
            }
        }
    )*};
}

silent!(
    v1::OpenHandle,
    v1::MintRequest,
    v1::MintResponse,
    v1::SendRequest,
    v1::SendResponse,
    v1::Header,
    v1::UnsealRequest,
    v1::unseal_request::Key,
    v1::BeginConnectRequest,
    v1::BeginConnectResponse,
    v1::FinishConnectRequest,
    v1::SecretValue,
    v1::secret_value::Kind,
    v1::HeaderValue,
    v1::BasicValue,
    v1::Oauth2Value,
    v1::DetailLine,
);
