//! Thumbnails of files: only of the exact content that the catalog knows.

use crate::contents::Sha256;
use crate::facts::Finding;
use crate::pool::{DecoderCaller, Processor, TaskContext};
use crate::read::OpenFile;
use crate::roots::Roots;

use lumina_photo::{Limits, PhotoError, metadata, thumbnail};
use std::path::{Path, PathBuf};

/// A file to show.
#[derive(Debug, Clone, PartialEq)]
pub struct ThumbnailTask {
    /// The caller's number for it.
    pub number: usize,
    /// Its path.
    pub path: PathBuf,
    /// Its checksum.
    pub sha256: Sha256,
    /// The memory for the file and its picture together, in bytes.
    pub memory: u64,
}

/// Why there is no thumbnail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// In words.
    Because(String),
    /// It needs more memory.
    NeedsMore,
}

/// What all tasks share. `M` is a memory reservation, released when it is dropped.
#[derive(Debug, Clone)]
pub struct Thumbnailer<M> {
    /// The roots that files may lie under.
    pub roots: Roots,
    /// In pixels, of the thumbnail's longer side.
    pub side: u32,
    /// The most pixels of a picture.
    pub pixels: u64,
    /// Whether the system has this much memory available.
    pub room_for: fn(usize) -> bool,
    /// Where the program `lumina-decoder` is.
    pub decoder: Option<PathBuf>,
    /// Held by each thread, and each decoder, until it ends.
    pub memory: M,
}

impl<M: Clone + Send + Sync + 'static> Processor for Thumbnailer<M> {
    type Task = ThumbnailTask;
    /// The number of a task, and a JPEG, or why there is none.
    type Event = (usize, Result<Vec<u8>, Missing>);

    fn process(&self, task: &ThumbnailTask, context: &TaskContext<Self::Event>) -> Option<Self::Event> {
        let shown = self.make(task, context).transpose()?;
        Some((task.number, shown))
    }

    fn failed(task: &ThumbnailTask) -> Self::Event {
        (task.number, Err(Missing::Because("it could not be shown".into())))
    }

    fn room_for(&self, bytes: usize) -> bool {
        (self.room_for)(bytes)
    }

    fn decoder(&self) -> Option<&Path> {
        self.decoder.as_deref()
    }
}

impl<M: Clone + Send + Sync + 'static> Thumbnailer<M> {
    /// `None` if cancelled.
    fn make(
        &self,
        task: &ThumbnailTask,
        context: &TaskContext<<Self as Processor>::Event>,
    ) -> Result<Option<Vec<u8>>, Missing> {
        let words = |finding: Finding| match finding {
            Finding::Failed { error, .. } => Missing::Because(error),
            _ => Missing::Because("it cannot be read".to_owned()),
        };
        let descriptor = self.roots.open_file(&task.path).map_err(|refusal| Missing::Because(refusal.to_string()))?;
        let mut opened = OpenFile::new(descriptor).map_err(words)?;
        let size = opened.status.size;
        if size > task.memory {
            return Err(Missing::NeedsMore);
        }
        let head = opened.head().map_err(words)?;
        let Some((bytes, sha256)) = opened.all(head, || context.is_cancelled()).map_err(words)? else {
            return Ok(None);
        };
        if sha256 != task.sha256 {
            return Err(Missing::Because("the file has changed since it was imported".into()));
        }
        let caller = DecoderCaller(self, context);
        let limits = Limits { pixels: self.pixels, memory: task.memory - size, caller: &caller };
        let shown = lumina_photo::decode(&bytes, &limits).and_then(|(format, picture)| {
            thumbnail(&picture, metadata::orientation(&bytes, format), self.side, format, &limits)
        });
        match shown {
            Ok(jpeg) => Ok(Some(jpeg)),
            Err(PhotoError::Cancelled) => Ok(None),
            Err(PhotoError::Memory { .. }) => Err(Missing::NeedsMore),
            Err(error) => Err(Missing::Because(error.to_string())),
        }
    }
}
