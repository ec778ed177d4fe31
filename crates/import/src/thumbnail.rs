//! A small picture of a file, for a page: only of the very content that the catalog knows.

use crate::contents::Sha256;
use crate::facts::Finding;
use crate::pool::{Caller, Waiting, Work};
use crate::read::Opened;
use crate::roots::Roots;

use lumina_photo::{Limits, PhotoError, metadata, thumbnail};
use std::path::PathBuf;

/// A file to show.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// By which the caller knows it.
    pub number: usize,
    /// Where it lies.
    pub path: PathBuf,
    /// Its content.
    pub sha256: Sha256,
    /// In bytes, for the file and its picture together.
    pub memory: u64,
}

/// Why there is no small picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// In words.
    Because(String),
    /// More memory would do.
    NeedsMore,
}

/// What all of them have in common. `M` stands for memory that is taken, and given back when it is dropped.
#[derive(Debug, Clone)]
pub struct Show<M> {
    /// Where files may lie.
    pub roots: Roots,
    /// In pixels, of the thumbnail's longer side.
    pub side: u32,
    /// Width times height of the picture, at most.
    pub pixels: u64,
    /// Whether the system has so many bytes to give.
    pub room_for: fn(usize) -> bool,
    /// Kept by each thread, and each decoder, until it ends.
    pub memory: M,
}

impl<M: Clone + Send + Sync + 'static> Work for Show<M> {
    type Task = Task;
    /// The number of a task, and a JPEG, or why there is none.
    type Event = (usize, Result<Vec<u8>, Missing>);

    fn work(&self, task: &Task, caller: &Caller<Self::Event>) -> Option<Self::Event> {
        let shown = self.show(task, caller).transpose()?;
        Some((task.number, shown))
    }

    fn failed(task: &Task) -> Self::Event {
        (task.number, Err(Missing::Because("it could not be shown".into())))
    }

    fn room_for(&self, bytes: usize) -> bool {
        (self.room_for)(bytes)
    }
}

impl<M: Clone + Send + Sync + 'static> Show<M> {
    /// Nothing where nobody wants to know any more.
    fn show(&self, task: &Task, caller: &Caller<<Self as Work>::Event>) -> Result<Option<Vec<u8>>, Missing> {
        let words = |finding: Finding| match finding {
            Finding::Failed { error, .. } => Missing::Because(error),
            _ => Missing::Because("it cannot be read".to_owned()),
        };
        let descriptor = self.roots.open_file(&task.path).map_err(|refusal| Missing::Because(refusal.to_string()))?;
        let mut opened = Opened::new(descriptor).map_err(words)?;
        let size = opened.stamp.size;
        if size > task.memory {
            return Err(Missing::NeedsMore);
        }
        let head = opened.head().map_err(words)?;
        let Some((bytes, sha256)) = opened.all(head, || caller.stop()).map_err(words)? else {
            return Ok(None);
        };
        if sha256 != task.sha256 {
            return Err(Missing::Because("the file has changed since it was imported".into()));
        }
        let watch = Waiting(self, caller);
        let limits = Limits { pixels: self.pixels, memory: task.memory - size, watch: &watch };
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
