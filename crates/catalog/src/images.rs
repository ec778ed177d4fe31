//! The images of a catalog: as they are read, in any order, and as they are compared, best first.
//!
//! Images, files and siblings are read by three plain scans; sorting, counting and joining them is done here. Of each
//! image with one file 128 bytes are held while files are counted, and 64 afterwards, beside the compared hashes.

#[cfg(test)]
pub(crate) mod tests;

use crate::apart::{LabelSet, RankedLabels, ReadLabels};
use crate::preference::{
    Candidate, CatalogImage, Class, Origin, Place, ScoreParts, UNKNOWN_TIME, best_of, copies_of_first,
};
use crate::rule::PairRule;
use lumina_search::group::{Apart, Label};
use lumina_search::{HashRows, SearchContext, SearchError, Values};

/// A name of a file, by what the file is on disk: several names of one file are one. They sort by their files, and of
/// one file a protected name is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FileName {
    image: i64,
    device: i64,
    inode: i64,
    is_unprotected: bool,
    folder: u16,
    /// The decision to keep the file beside other files of its image.
    decision: Option<i64>,
}

impl FileName {
    fn is_of_file(&self, other: &FileName) -> bool {
        (self.image, self.device, self.inode) == (other.image, other.device, other.inode)
    }
}

/// The files of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct ImageFiles {
    count: u32,
    /// How many of them go where the image stays: those that are neither the first, nor protected, nor wanted.
    spare: u32,
    /// Those that a decision keeps beside one another count as one; from two on all are two.
    undecided: u8,
    /// Whether it stays whichever image of its group is kept: one of its files is protected, there or not.
    stays: bool,
    place: Place,
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
    files: Vec<FileName>,
    /// Images with a protected file that is missing.
    protected: Vec<i64>,
    siblings: Vec<i64>,
    labels: ReadLabels,
}

/// Rows of an image with several files that nobody has decided on: so it forms a group, with what is near it, even
/// where no other image is in it.
const ROWS: u8 = 2;

impl UnrankedImages {
    /// No images yet. `rule` says which hashes are compared.
    pub fn new(rule: &PairRule) -> Self {
        let widths: Vec<usize> = rule.hashes().iter().map(|hash| hash.bits).collect();
        let hashes = HashRows::new(&widths);
        UnrankedImages {
            images: Vec::new(),
            hashes,
            widths,
            files: Vec::new(),
            protected: Vec::new(),
            siblings: Vec::new(),
            labels: ReadLabels::default(),
        }
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

    /// Adds a file of an image: where it lies, and its device and inode where they are known. One without is a file of
    /// its own. `decision` is the action by which somebody has decided to keep it beside other files of the image.
    pub fn push_file(
        &mut self,
        image: i64,
        place: Place,
        identity: Option<(i64, i64)>,
        decision: Option<i64>,
        context: &SearchContext,
    ) -> Result<(), SearchError> {
        let (device, inode) = identity.unwrap_or((UNKNOWN_DEVICE, self.files.len() as i64));
        let Place { folder, is_protected } = place;
        let name = FileName { image, device, inode, is_unprotected: !is_protected, folder, decision };
        context.push(&mut self.files, name)
    }

    /// Notes that an image has a protected file that is missing: the image is not to be rejected.
    pub fn push_missing_protected(&mut self, image: i64, context: &SearchContext) -> Result<(), SearchError> {
        context.push(&mut self.protected, image)
    }

    /// Labels an image: it is kept apart from images that the same set has labelled with another part.
    pub fn push_label(
        &mut self,
        image: i64,
        set: LabelSet,
        part: i32,
        context: &SearchContext,
    ) -> Result<(), SearchError> {
        self.labels.push(image, set, part, context)
    }

    /// Notes that an image is a picture that a camera wrote beside a raw file: it belongs to that file, and is not
    /// compared.
    pub fn push_sibling(&mut self, image: i64, context: &SearchContext) -> Result<(), SearchError> {
        context.push(&mut self.siblings, image)
    }

    /// Puts the images into the order of preference, without those that have no file: they have nothing to keep and
    /// nothing to remove. Returns also the rows to compare. Runs on the current thread pool.
    pub fn rank(self, context: &SearchContext) -> Result<(RankedImages, HashRows), SearchError> {
        let UnrankedImages { mut images, mut hashes, files, mut protected, mut siblings, labels, .. } = self;
        context.sort(&mut siblings, i64::cmp)?;
        images.iter_mut().for_each(|image| image.has_hashes &= siblings.binary_search(&image.id).is_err());
        context.free(siblings);
        let mut order = context.vec(images.len())?;
        order.extend(0..images.len() as u32);
        let mut files = files_of_images(&images, &mut order, files, context)?;
        context.sort(&mut protected, i64::cmp)?;
        for (image, files) in images.iter().zip(&mut files) {
            files.stays |= protected.binary_search(&image.id).is_ok();
        }
        context.free(protected);
        order.retain(|image| files[*image as usize].count > 0);
        let preference = |image: &u32| images[*image as usize].preference(files[*image as usize].place);
        context.sort(&mut order, |a: &u32, b| preference(a).cmp(&preference(b)))?;

        let mut ranked = RankedImages::with_capacity(order.len(), context)?;
        let (mut compared, mut rows) = (0, 0);
        for &image in &order {
            let (image, files) = (&images[image as usize], files[image as usize]);
            ranked.push(image, files);
            if image.has_hashes {
                compared += 1;
                rows += files.undecided.min(ROWS) as usize;
            }
        }
        ranked.compared = compared;
        ranked.images_of_rows = context.vec(rows)?;
        let mut row_order = context.vec(rows)?;
        for (rank, &image) in order.iter().enumerate().filter(|(_, image)| images[**image as usize].has_hashes) {
            let rows = files[image as usize].undecided.min(ROWS) as usize;
            ranked.images_of_rows.extend(std::iter::repeat_n(rank as u32, rows));
            row_order.extend(std::iter::repeat_n(image, rows));
        }
        context.free(images);
        context.free(files);
        context.free(order);
        ranked.labels = labels.rank(&ranked.ids, context)?;
        hashes.reorder(&row_order, context)?;
        context.free(row_order);
        Ok((ranked, hashes))
    }
}

/// The files of each image. Leaves `order`, which holds all images, sorted by their ids.
fn files_of_images(
    images: &[CatalogImage],
    order: &mut [u32],
    mut names: Vec<FileName>,
    context: &SearchContext,
) -> Result<Vec<ImageFiles>, SearchError> {
    context.sort(&mut names, FileName::cmp)?;
    context.sort(order, |a: &u32, b| images[*a as usize].id.cmp(&images[*b as usize].id))?;
    let mut all = context.filled(images.len(), ImageFiles::default())?;
    let (mut files, mut decisions) = (names.chunk_by(FileName::is_of_file).peekable(), Vec::new());
    for &image in &*order {
        let id = images[image as usize].id;
        while files.next_if(|file| file[0].image < id).is_some() {}
        let of_image = &mut all[image as usize];
        // Of the first file: its folder, whether it is not protected, and whether it is not wanted either.
        let mut first = (Place::NO_FOLDER, true, true);
        let mut undecided: u32 = 0;
        decisions.clear();
        while let Some(file) = files.next_if(|file| file[0].image == id) {
            let FileName { is_unprotected, folder, .. } = file[0];
            of_image.count = of_image.count.saturating_add(1);
            // Any name of a file counts.
            of_image.place.is_protected |= !is_unprotected;
            of_image.place.folder = file.iter().fold(of_image.place.folder, |best, name| best.min(name.folder));
            let decision = file.iter().filter_map(|name| name.decision).min();
            let is_spare = is_unprotected && decision.is_none();
            of_image.spare = of_image.spare.saturating_add(u32::from(is_spare));
            first = first.min((folder, is_unprotected, decision.is_none()));
            match decision {
                None => undecided = undecided.saturating_add(1),
                Some(decision) => context.push(&mut decisions, decision)?,
            }
        }
        let is_first_spare = of_image.count > 0 && first.1 && first.2;
        of_image.spare -= u32::from(is_first_spare);
        of_image.stays = of_image.place.is_protected;
        decisions.sort_unstable();
        decisions.dedup();
        of_image.undecided = undecided.saturating_add(decisions.len() as u32).min(ROWS.into()) as u8;
    }
    context.free(decisions);
    context.free(names);
    Ok(all)
}

/// The images of a catalog that have a file, best first, a list per column. An image is known by its *rank*, its place
/// here.
#[derive(Debug)]
pub struct RankedImages {
    ids: Vec<i64>,
    sizes: Vec<i64>,
    files: Vec<ImageFiles>,
    row_versions: Vec<u32>,
    captured: Vec<i64>,
    classes: Vec<Class>,
    parts: Vec<ScoreParts>,
    origins: Vec<Origin>,
    /// The image of each compared row, ascending.
    images_of_rows: Vec<u32>,
    compared: usize,
    labels: RankedLabels,
}

impl RankedImages {
    fn with_capacity(count: usize, context: &SearchContext) -> Result<Self, SearchError> {
        Ok(RankedImages {
            ids: context.vec(count)?,
            sizes: context.vec(count)?,
            files: context.vec(count)?,
            row_versions: context.vec(count)?,
            captured: context.vec(count)?,
            classes: context.vec(count)?,
            parts: context.vec(count)?,
            origins: context.vec(count)?,
            images_of_rows: Vec::new(),
            compared: 0,
            labels: RankedLabels::default(),
        })
    }

    fn push(&mut self, image: &CatalogImage, files: ImageFiles) {
        self.ids.push(image.id);
        self.sizes.push(image.size);
        self.files.push(files);
        self.row_versions.push(image.row_version);
        self.captured.push(image.captured);
        self.classes.push(Class::new(files.place, image.is_damaged));
        self.parts.push(image.parts);
        self.origins.push(image.origin);
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

    /// When it was taken, in microseconds; `None` where that is not known.
    pub fn captured(&self, rank: u32) -> Option<i64> {
        Some(self.captured[rank as usize]).filter(|&time| time != UNKNOWN_TIME)
    }

    /// Bytes of one of its files.
    pub fn size(&self, rank: u32) -> i64 {
        self.sizes[rank as usize]
    }

    /// How many files it has, at least one.
    pub fn files(&self, rank: u32) -> u32 {
        self.files[rank as usize].count
    }

    /// How many of its files are redundant in a group of which it is, or is not, the one to keep. Where it stays, all
    /// but the first (in the best preferred folder, of those a protected one, then a wanted one), those that are
    /// protected, and those that somebody has decided to keep; where it goes, all.
    pub fn redundant_files(&self, rank: u32, is_kept: bool) -> u32 {
        let files = &self.files[rank as usize];
        if is_kept || files.stays { files.spare } else { files.count }
    }

    /// Whether it has several files, of which somebody has not decided to keep them beside one another.
    pub fn has_undecided_copies(&self, rank: u32) -> bool {
        self.files[rank as usize].undecided >= ROWS
    }

    /// The version of its row when it was read.
    pub fn row_version(&self, rank: u32) -> u32 {
        self.row_versions[rank as usize]
    }

    /// The one to keep of the members of a group: see [`best_of`].
    pub fn best_of(&self, members: impl Iterator<Item = u32> + Clone) -> Option<u32> {
        best_of(members.map(|rank| self.candidate(rank)))
    }

    /// Of each member of a group whether it is a copy of the first one: see [`copies_of_first`].
    pub fn copies_of_first(&self, members: &[u32]) -> impl Iterator<Item = bool> {
        copies_of_first(members.iter().map(|&rank| self.candidate(rank)))
    }

    fn candidate(&self, rank: u32) -> Candidate {
        let at = rank as usize;
        Candidate {
            rank,
            class: self.classes[at],
            parts: self.parts[at],
            origin: self.origins[at],
            size: self.sizes[at],
            captured: self.captured[at],
        }
    }

    /// The rank of the image of a compared row. Rows are in the order of ranks; an image with several files has two.
    pub fn image_of_row(&self, row: u32) -> u32 {
        self.images_of_rows[row as usize]
    }

    /// Splits `values`, which the compared rows have collapsed to, where images with equal hashes have different
    /// labels, and returns the labels of the values; `None` where no image has a label.
    pub fn keep_apart(&self, values: Values, context: &SearchContext) -> Result<(Values, Option<Apart>), SearchError> {
        if self.labels.is_empty() {
            return Ok((values, None));
        }
        let values = values.split(|row| self.labels.key(self.image_of_row(row)), context)?;
        let labels_of = |row| -> &[Label] { self.labels.of(self.image_of_row(row)) };
        let apart = Apart::of(&values, labels_of, context)?;
        Ok((values, Some(apart)))
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
