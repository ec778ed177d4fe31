//! The images of a catalog: as they are read, in any order, and as they are compared, best first.
//!
//! Images, files and siblings are read by three plain scans; sorting, counting and joining them is done here. Of a
//! million images 48 bytes each are held while they are sorted, and 24 afterwards, beside the compared hashes.

#[cfg(test)]
pub(crate) mod tests;

use crate::preference::CatalogImage;
use crate::rule::PairRule;
use lumina_search::{HashRows, SearchContext, SearchError};

/// A file, by what it is on disk: several names of one file are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FileIdentity {
    image: i64,
    device: i64,
    inode: i64,
}

/// The device of a file whose device and inode are not known. Its inode is then a number of its own.
const UNKNOWN_DEVICE: i64 = i64::MIN;

/// The images of a catalog as they are read, in any order.
#[derive(Debug)]
pub struct UnrankedImages {
    images: Vec<CatalogImage>,
    /// The hashes of every image that the rule names; zeros where they are invalid.
    hashes: HashRows,
    widths: Vec<usize>,
    files: Vec<FileIdentity>,
    siblings: Vec<i64>,
}

/// Rows of an image with several files: so it forms a group, with what is near it, even where no other image is in it.
const ROWS: u32 = 2;

impl UnrankedImages {
    /// No images yet. `rule` says which hashes are compared.
    pub fn new(rule: &PairRule) -> Self {
        let widths: Vec<usize> = rule.hashes().iter().map(|hash| hash.bits).collect();
        let hashes = HashRows::new(&widths);
        UnrankedImages { images: Vec::new(), hashes, widths, files: Vec::new(), siblings: Vec::new() }
    }

    /// Adds an image with its hashes, those that the rule names in its order. `hashes` is not iterated where they are
    /// invalid.
    pub fn push_image<'a>(
        &mut self,
        image: CatalogImage,
        hashes: impl IntoIterator<Item = &'a [u8]>,
        context: &SearchContext,
    ) -> Result<(), SearchError> {
        const ZEROS: [u8; 32] = [0; 32];
        context.push(&mut self.images, image)?;
        if image.has_hashes {
            self.hashes.push(hashes, context)
        } else {
            self.hashes.push(self.widths.iter().map(|bits| &ZEROS[..bits / 8]), context)
        }
    }

    /// Adds a file of an image, with its device and inode where they are known. One without is a file of its own.
    pub fn push_file(
        &mut self,
        image: i64,
        identity: Option<(i64, i64)>,
        context: &SearchContext,
    ) -> Result<(), SearchError> {
        let (device, inode) = identity.unwrap_or((UNKNOWN_DEVICE, self.files.len() as i64));
        context.push(&mut self.files, FileIdentity { image, device, inode })
    }

    /// Notes that an image is a picture that a camera wrote beside a raw file: it belongs to that file, and is not
    /// compared.
    pub fn push_sibling(&mut self, image: i64, context: &SearchContext) -> Result<(), SearchError> {
        context.push(&mut self.siblings, image)
    }

    /// Puts the images into the order of preference, without those that have no file: they have nothing to keep and
    /// nothing to remove. Returns also the rows to compare. Runs on the current thread pool.
    pub fn rank(self, context: &SearchContext) -> Result<(RankedImages, HashRows), SearchError> {
        let UnrankedImages { mut images, mut hashes, files, mut siblings, .. } = self;
        context.sort(&mut siblings, i64::cmp)?;
        images.iter_mut().for_each(|image| image.has_hashes &= siblings.binary_search(&image.id).is_err());
        context.free(siblings);
        let mut order = context.vec(images.len())?;
        order.extend(0..images.len() as u32);
        let counts = count_files(&images, &mut order, files, context)?;
        order.retain(|image| counts[*image as usize] > 0);
        let preference = |image: &u32| images[*image as usize].preference();
        context.sort(&mut order, |a: &u32, b| preference(a).cmp(&preference(b)))?;

        let mut ranked = RankedImages::with_capacity(order.len(), context)?;
        let (mut compared, mut rows) = (0, 0);
        for &image in &order {
            let files = counts[image as usize];
            let image = &images[image as usize];
            ranked.push(image, files);
            if image.has_hashes {
                compared += 1;
                rows += files.min(ROWS) as usize;
            }
        }
        ranked.compared = compared;
        ranked.images_of_rows = context.vec(rows)?;
        let mut row_order = context.vec(rows)?;
        for (rank, &image) in order.iter().enumerate().filter(|(_, image)| images[**image as usize].has_hashes) {
            let rows = counts[image as usize].min(ROWS) as usize;
            ranked.images_of_rows.extend(std::iter::repeat_n(rank as u32, rows));
            row_order.extend(std::iter::repeat_n(image, rows));
        }
        context.free(images);
        context.free(counts);
        context.free(order);
        hashes.reorder(&row_order, context)?;
        context.free(row_order);
        Ok((ranked, hashes))
    }
}

/// For each image how many files it has. Leaves `order`, which holds all images, sorted by their ids.
fn count_files(
    images: &[CatalogImage],
    order: &mut [u32],
    mut files: Vec<FileIdentity>,
    context: &SearchContext,
) -> Result<Vec<u32>, SearchError> {
    context.sort(&mut files, FileIdentity::cmp)?;
    files.dedup(); // several names of one file
    context.sort(order, |a: &u32, b| images[*a as usize].id.cmp(&images[*b as usize].id))?;
    let mut counts = context.filled(images.len(), 0u32)?;
    let mut at = 0;
    for &image in &*order {
        let id = images[image as usize].id;
        while at < files.len() && files[at].image < id {
            at += 1;
        }
        while at < files.len() && files[at].image == id {
            at += 1;
            counts[image as usize] = counts[image as usize].saturating_add(1);
        }
    }
    context.free(files);
    Ok(counts)
}

/// The images of a catalog that have a file, best first, a list per column. An image is known by its *rank*, its place
/// here.
#[derive(Debug)]
pub struct RankedImages {
    ids: Vec<i64>,
    sizes: Vec<i64>,
    files: Vec<u32>,
    row_versions: Vec<u32>,
    /// The image of each compared row, ascending.
    images_of_rows: Vec<u32>,
    compared: usize,
}

impl RankedImages {
    fn with_capacity(count: usize, context: &SearchContext) -> Result<Self, SearchError> {
        Ok(RankedImages {
            ids: context.vec(count)?,
            sizes: context.vec(count)?,
            files: context.vec(count)?,
            row_versions: context.vec(count)?,
            images_of_rows: Vec::new(),
            compared: 0,
        })
    }

    fn push(&mut self, image: &CatalogImage, files: u32) {
        self.ids.push(image.id);
        self.sizes.push(image.size);
        self.files.push(files);
        self.row_versions.push(image.row_version);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The id of an image.
    pub fn id(&self, rank: u32) -> i64 {
        self.ids[rank as usize]
    }

    /// Bytes of one of its files.
    pub fn size(&self, rank: u32) -> i64 {
        self.sizes[rank as usize]
    }

    /// How many files it has, at least one.
    pub fn files(&self, rank: u32) -> u32 {
        self.files[rank as usize]
    }

    /// The version of its row when it was read.
    pub fn row_version(&self, rank: u32) -> u32 {
        self.row_versions[rank as usize]
    }

    /// The rank of the image of a compared row. Rows are in the order of ranks; an image with several files has two.
    pub fn image_of_row(&self, row: u32) -> u32 {
        self.images_of_rows[row as usize]
    }

    /// How many images are compared.
    pub fn compared(&self) -> usize {
        self.compared
    }

    /// How many pairs of images are compared.
    pub fn possible_pairs(&self) -> i128 {
        let compared = self.compared as i128;
        compared * (compared - 1) / 2
    }
}
