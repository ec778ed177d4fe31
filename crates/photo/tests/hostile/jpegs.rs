//! A writer of flat JPEG files: every code is one bit, 0, and means that nothing follows.

/// Frame header by its marker's second byte: 0xc0 baseline, 0xc2 progressive.
pub(crate) struct Jpeg {
    pub(crate) process: u8,
    pub(crate) width: u16,
    pub(crate) height: u16,
    /// Sampling factors of each component.
    pub(crate) sampling: Vec<(u8, u8)>,
}

pub(crate) fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = (body.len() as u16 + 2).to_be_bytes();
    [&[0xff, marker, high, low], body].concat()
}

/// A Huffman table with one code, of one bit. Class 0 is that of means, 1 of the rest.
pub(crate) fn table(class: u8, symbol: u8) -> Vec<u8> {
    let mut body = vec![class << 4, 1];
    body.extend_from_slice(&[0; 15]);
    body.push(symbol);
    segment(0xc4, &body)
}

impl Jpeg {
    pub(crate) fn new(process: u8, width: u16, height: u16, sampling: &[(u8, u8)]) -> Self {
        Jpeg { process, width, height, sampling: sampling.to_vec() }
    }

    /// All before the first scan.
    pub(crate) fn headers(&self) -> Vec<u8> {
        let ([h1, h0], [w1, w0]) = (self.height.to_be_bytes(), self.width.to_be_bytes());
        let mut frame = vec![8, h1, h0, w1, w0, self.sampling.len() as u8];
        for (index, (h, v)) in self.sampling.iter().enumerate() {
            frame.extend_from_slice(&[index as u8 + 1, h << 4 | v, 0]);
        }
        let quantisation = segment(0xdb, &[[0].as_slice(), &[16; 64]].concat());
        let rest = if self.process == 0xc2 { 0xe0 } else { 0 }; // a band that ends for 16,384 blocks
        [vec![0xff, 0xd8], quantisation, segment(self.process, &frame), table(0, 0), table(1, rest)].concat()
    }

    /// Header of a scan of these components.
    pub(crate) fn scan(components: &[u8], (from, to): (u8, u8), bits: u8) -> Vec<u8> {
        let mut body = vec![components.len() as u8];
        components.iter().for_each(|component| body.extend_from_slice(&[component + 1, 0]));
        body.extend_from_slice(&[from, to, bits]);
        segment(0xda, &body)
    }

    fn all(&self) -> Vec<u8> {
        (0..self.sampling.len() as u8).collect()
    }

    /// Blocks of 8 x 8 in a scan of all components.
    fn blocks(&self) -> usize {
        let largest = |side: fn(&(u8, u8)) -> u8| usize::from(self.sampling.iter().map(side).max().unwrap());
        let (h, v) = (largest(|s| s.0), largest(|s| s.1));
        let units = usize::from(self.width).div_ceil(8 * h) * usize::from(self.height).div_ceil(8 * v);
        if self.sampling.len() == 1 {
            return usize::from(self.width).div_ceil(8) * usize::from(self.height).div_ceil(8);
        }
        units * self.sampling.iter().map(|(h, v)| usize::from(h * v)).sum::<usize>()
    }

    /// Blocks of 8 x 8 in a scan of one component.
    fn blocks_of(&self, component: u8) -> usize {
        let largest = |side: fn(&(u8, u8)) -> u8| usize::from(self.sampling.iter().map(side).max().unwrap());
        let (h, v) = self.sampling[usize::from(component)];
        let across = (usize::from(self.width) * usize::from(h)).div_ceil(8 * largest(|s| s.0));
        across * (usize::from(self.height) * usize::from(v)).div_ceil(8 * largest(|s| s.1))
    }

    /// A flat grey picture in one scan.
    pub(crate) fn grey(&self) -> Vec<u8> {
        let data = vec![0; (2 * self.blocks()).div_ceil(8)];
        [self.headers(), Self::scan(&self.all(), (0, 63), 0), data, vec![0xff, 0xd9]].concat()
    }

    /// A flat grey picture, each component in a scan of its own.
    pub(crate) fn one_by_one(&self) -> Vec<u8> {
        let mut file = self.headers();
        for component in self.all() {
            file.extend(Self::scan(&[component], (0, 63), 0));
            file.extend(vec![0; (2 * self.blocks_of(component)).div_ceil(8)]);
        }
        [file, vec![0xff, 0xd9]].concat()
    }

    /// A flat grey progressive picture: means, and `scans` scans of all other frequencies.
    pub(crate) fn progressive(&self, scans: usize) -> Vec<u8> {
        let mut file = [self.headers(), Self::scan(&self.all(), (0, 0), 0)].concat();
        file.extend(vec![0; self.blocks().div_ceil(8)]);
        for scan in 0..scans {
            let component = (scan % self.sampling.len()) as u8;
            let runs = self.blocks_of(component).div_ceil(16384);
            file.extend(Self::scan(&[component], (1, 63), 0));
            file.extend(vec![0; (15 * runs).div_ceil(8)]);
        }
        [file, vec![0xff, 0xd9]].concat()
    }
}
