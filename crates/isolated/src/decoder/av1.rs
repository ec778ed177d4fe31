//! A picture of AV1, by rav1d, whose interface is that of the C library dav1d.
#![allow(unsafe_code)]

use lumina_isolated::{Frame, Layout, Refusal, Start};
use rav1d::include::dav1d::data::Dav1dData;
use rav1d::include::dav1d::dav1d::{Dav1dContext, Dav1dSettings};
use rav1d::include::dav1d::picture::Dav1dPicture;
use rav1d::src::lib::{
    dav1d_close, dav1d_data_create, dav1d_data_unref, dav1d_default_settings, dav1d_get_picture, dav1d_open,
    dav1d_picture_unref, dav1d_send_data,
};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;

/// A decoder of one item.
pub(crate) struct Decoder {
    context: Option<Dav1dContext>,
    data: Dav1dData,
}

impl super::Decoder for Decoder {
    type Picture = Picture;

    fn new(start: &Start, length: usize) -> Result<Self, Refusal> {
        let mut decoder = Decoder { context: None, data: Dav1dData::default() };
        if length == 0 {
            return Ok(decoder);
        }
        let mut settings = MaybeUninit::<Dav1dSettings>::uninit();
        // SAFETY: it writes all of the settings, which are ours.
        let mut settings = unsafe {
            dav1d_default_settings(NonNull::from(&mut settings).cast());
            settings.assume_init()
        };
        (settings.n_threads, settings.max_frame_delay) = (1, 1);
        // Of layers the one of the highest quality.
        settings.all_layers = 0;
        settings.frame_size_limit = start.pixels;
        // SAFETY: both are ours, and as the function wants them.
        let opened =
            unsafe { dav1d_open(Some(NonNull::from(&mut decoder.context)), Some(NonNull::from(&mut settings))) };
        accept(opened.0)?;
        // SAFETY: the data is ours, and empty.
        let bytes = unsafe { dav1d_data_create(Some(NonNull::from(&mut decoder.data)), length) };
        if bytes.is_null() { Err(Refusal::Memory) } else { Ok(decoder) }
    }

    fn room(&mut self) -> &mut [u8] {
        match self.data.data {
            // SAFETY: `dav1d_data_create` has allocated as many bytes, zeroed, and nobody else has them yet.
            Some(bytes) => unsafe { slice::from_raw_parts_mut(bytes.as_ptr(), self.data.sz) },
            None => &mut [],
        }
    }

    /// The first frame that is shown.
    fn decode(mut self) -> Result<Picture, Refusal> {
        let mut shown = ShownFrame(Dav1dPicture::default());
        let Some(context) = self.context else { return Err(Refusal::Damaged) };
        loop {
            let is_sent = self.data.sz == 0;
            if !is_sent {
                // SAFETY: the context is open, the data was created by the decoder.
                let sent = unsafe { dav1d_send_data(Some(context), Some(NonNull::from(&mut self.data))) };
                if sent.0 != AGAIN {
                    accept(sent.0)?;
                }
            }
            // SAFETY: the context is open, the picture is ours and empty.
            let got = unsafe { dav1d_get_picture(Some(context), Some(NonNull::from(&mut shown.0))) };
            match got.0 {
                0 => break,
                // All is sent, and no frame is left in the decoder.
                AGAIN if is_sent => return Err(Refusal::Damaged),
                AGAIN => {}
                error => accept(error)?,
            }
        }
        let frame = shown.describe().ok_or(Refusal::Damaged)?;
        Ok(Picture { shown, frame })
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the data is the decoder's or empty; the context is open or `None`, and not used again.
        unsafe {
            dav1d_data_unref(Some(NonNull::from(&mut self.data)));
            dav1d_close(Some(NonNull::from(&mut self.context)));
        }
    }
}

/// More data is wanted, or a frame is to be taken first.
const AGAIN: i32 = -libc::EAGAIN;

/// The decoder's errors are negative numbers of `errno.h`.
fn accept(result: i32) -> Result<(), Refusal> {
    match -result {
        0 => Ok(()),
        libc::ENOMEM => Err(Refusal::Memory),
        libc::ERANGE => Err(Refusal::TooLarge),
        _ => Err(Refusal::Damaged),
    }
}

/// A frame that the decoder has returned, or none yet.
struct ShownFrame(Dav1dPicture);

impl ShownFrame {
    /// `None` if it makes no sense.
    fn describe(&self) -> Option<Frame> {
        // SAFETY: a frame has the header of its sequence, as long as it is not freed.
        let header = unsafe { self.0.seq_hdr?.as_ref() };
        let parameters = &self.0.p;
        let byte = |number: u32| u8::try_from(number).ok();
        Some(Frame {
            width: u32::try_from(parameters.w).ok().filter(|&width| width > 0)?,
            height: u32::try_from(parameters.h).ok().filter(|&height| height > 0)?,
            bits: u8::try_from(parameters.bpc).ok()?,
            layout: *Layout::ALL.get(usize::try_from(parameters.layout).ok()?)?,
            primaries: byte(header.pri)?,
            transfer: byte(header.trc)?,
            matrix: byte(header.mtrx)?,
            full_range: header.color_range != 0,
        })
    }
}

impl Drop for ShownFrame {
    fn drop(&mut self) {
        // SAFETY: it is a frame of the decoder, or empty, and not used again.
        unsafe { dav1d_picture_unref(Some(NonNull::from(&mut self.0))) };
    }
}

/// A decoded frame with its samples.
pub(crate) struct Picture {
    shown: ShownFrame,
    frame: Frame,
}

impl super::Picture for Picture {
    fn frame(&self) -> Frame {
        self.frame
    }

    fn row(&self, plane: usize, row: u32) -> &[u8] {
        let (Frame { width, height, layout, .. }, shown) = (self.frame, &self.shown.0);
        let whole = Some((width, height));
        let (width, height) = if plane == 0 { whole } else { layout.chroma(width, height) }.unwrap_or_default();
        let Some(first) = shown.data[plane].filter(|_| row < height) else { return &[] };
        let first = first.as_ptr().cast::<u8>();
        let offset = row as isize * shown.stride[plane.min(1)];
        // SAFETY: a plane has as many rows, `stride` bytes apart, of at least as many samples, all initialized. They
        // are freed with the picture.
        unsafe { slice::from_raw_parts(first.offset(offset), width as usize * self.frame.sample()) }
    }
}
