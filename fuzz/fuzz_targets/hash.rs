//! All hashes, and those of all eight forms, of any small picture: as many bits as asked for, within what was asked
//! for.
#![no_main]

mod photo;

use libfuzzer_sys::fuzz_target;
use lumina_photo::hash::{Wanted, dihedral, make};
use lumina_photo::{Format, Method, Orientation, Picture, Pixels, Recipe};

fuzz_target!(init: photo::init(), |bytes: &[u8]| {
    let [width, height, kind, size, rest @ ..] = bytes else { return };
    let (width, height) = (u32::from(*width) + 1, u32::from(*height) + 1);
    let channels = if kind & 1 == 0 { 1 } else { 3 };
    let length = (width * height) as usize * channels;
    let samples: Vec<u8> = rest.iter().copied().chain(std::iter::once(0)).cycle().take(length).collect();
    let pixels = if channels == 1 { Pixels::Grey(samples) } else { Pixels::Rgb(samples) };
    let picture = Picture { width, height, pixels, damage: None };
    let orientation = Orientation::ALL[usize::from(kind >> 1 & 7)];
    let recipe = |method| {
        let size = i32::from(size % 16 + 1) * 4;
        Recipe::new(method, size).unwrap_or(Recipe::standard(method))
    };
    let recipes: Vec<Recipe> = Method::ALL.into_iter().map(recipe).collect();
    let caller = photo::Remembers::default();
    let limits = photo::limits(&caller);
    let wanted = Wanted { recipes: recipes.clone(), sharpness: true };
    let Ok(made) = make(&picture, orientation, &wanted, Format::Png, &limits) else { panic!("no hashes") };
    assert!(made.hashes.iter().zip(&recipes).all(|(hash, recipe)| hash.len() * 8 == recipe.bits()));
    assert!(made.pdq_quality.is_some_and(|quality| quality <= 100) && made.sharpness.is_some_and(f64::is_finite));
    let recipe = recipes[usize::from(kind >> 4) % recipes.len()];
    let Ok(forms) = dihedral(&picture, orientation, recipe, Format::Png, &limits) else { panic!("no forms") };
    assert_eq!(forms.len(), 8);
});
