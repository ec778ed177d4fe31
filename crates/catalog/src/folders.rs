//! Lists of folders, and which of them holds a file: preferred folders and protected sources of a catalog.
//!
//! Called for each file by the job `detect_duplicates`, and by functions of SQL (`src/catalog/folders.rs`); SQL makes
//! the lists (`lumina_internal.folder_list`). Paths are compared component by component: `/a/b` does not hold `/a/bc`.

#[cfg(test)]
mod tests;

/// A list of folders, first the most important one: absolute paths that each end in `/`, with a zero byte between two.
#[derive(Debug, Clone, Copy)]
pub struct Folders<'a>(&'a [u8]);

impl<'a> Folders<'a> {
    /// From such a list; one that is empty has no folder.
    pub fn new(list: &'a [u8]) -> Self {
        Folders(list)
    }

    /// The number of the first folder, from 0, that holds a file, or is it.
    pub fn position(&self, path: &[u8]) -> Option<usize> {
        let holds = |folder: &[u8]| {
            !folder.is_empty()
                && (path.starts_with(folder) || folder.strip_suffix(b"/").is_some_and(|file| file == path))
        };
        self.0.split(|byte| *byte == 0).position(holds)
    }
}
