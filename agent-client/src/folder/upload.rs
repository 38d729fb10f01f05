//! A file that is to be sent: measured once, and read from the same open file.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use claviger_proto::bulk::PIECE;
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};

use super::{Folder, FolderError};

/// A file that was opened and measured. It stays open: whatever is put into its place in the folder is another file.
#[derive(Clone)]
pub(crate) struct Upload {
    file: Arc<File>,
    name: String,
    size: u64,
    sha256: [u8; 32],
}

impl Upload {
    /// Opens the file at `path` below the folder, and reads it once to measure it. Blocks.
    pub(crate) fn open(folder: &Folder, path: &str) -> Result<Self, FolderError> {
        let (name, file, size) = folder.read(path)?;
        let mut upload = Self { file: Arc::new(file), name, size, sha256: [0; 32] };
        let mut context = Context::new(&SHA256);
        upload.pieces(|piece, _| {
            context.update(piece);
            Ok::<(), FolderError>(())
        })?;
        upload.sha256.copy_from_slice(context.finish().as_ref());
        Ok(upload)
    }

    /// What the vault is told of it, and a person who must agree.
    pub(crate) fn argument(&self) -> Value {
        json!({"name": self.name, "sha256": hex(&self.sha256), "size": self.size})
    }

    /// Whether it is what an argument says.
    pub(crate) fn is(&self, argument: &Value) -> bool {
        argument["sha256"] == hex(&self.sha256) && argument["size"] == self.size
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Gives its bytes from `offset` on to `take`, in pieces; with each, where it begins. The last one is given only when
    /// the whole is still what was measured. Blocks.
    pub(crate) fn send<E: From<FolderError>>(
        &self,
        offset: u64,
        mut take: impl FnMut(Vec<u8>, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut context = Context::new(&SHA256);
        let mut held: Option<(Vec<u8>, u64)> = None;
        self.pieces(|piece, at| {
            context.update(piece);
            let from = usize::try_from(offset.saturating_sub(at)).unwrap_or(usize::MAX).min(piece.len());
            if let Some((piece, at)) = held.take() {
                take(piece, at)?;
            }
            if from < piece.len() {
                held = Some((piece[from..].to_vec(), at + from as u64));
            }
            Ok::<(), E>(())
        })?;
        if context.finish().as_ref() != self.sha256 {
            return Err(FolderError::Changed.into());
        }
        held.map_or(Ok(()), |(piece, at)| take(piece, at))
    }

    /// Reads exactly as many bytes as were there when it was opened.
    fn pieces<E: From<FolderError>>(
        &self,
        mut take: impl FnMut(&[u8], u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buffer = vec![0; PIECE];
        let mut at = 0;
        while at < self.size {
            let most = usize::try_from(self.size - at).unwrap_or(PIECE).min(PIECE);
            match self.file.read_exact_at(&mut buffer[..most], at) {
                Ok(()) => {}
                // It became shorter.
                Err(short) if short.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Err(FolderError::Changed.into());
                }
                Err(other) => return Err(FolderError::System(other).into()),
            }
            take(&buffer[..most], at)?;
            at += most as u64;
        }
        // It became longer.
        match self.file.metadata() {
            Ok(now) if now.len() == self.size => Ok(()),
            Ok(_) => Err(FolderError::Changed.into()),
            Err(error) => Err(FolderError::System(error).into()),
        }
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
