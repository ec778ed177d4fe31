//! Paths of the server that may be imported: `checked_path` and `path_steps` of the schema `lumina_internal`, behind
//! `import` and `check_path`.

use super::error::{PathError, hint};
use crate::error::LuminaError;
use crate::pg::backend::server;
use crate::pg::fmgr::arguments::Call;
use crate::pg::fmgr::call::function;
use crate::pg::fmgr::datum::Varlena;
use crate::pg::fmgr::encoding::in_plain_encoding;
use crate::pg::fmgr::raise::OrRaise;
use crate::pg::fmgr::rows::{Rows, set_function};
use lumina_import::Roots;
use lumina_import::names::LONGEST;
use lumina_import::roots::plain;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Parses the text of the setting. Errors: 22023.
pub(crate) fn roots(setting: &str) -> Result<Roots, LuminaError> {
    let roots = Roots::parse(setting).map_err(PathError::Roots)?;
    Ok(Roots::new(roots, server::own_directories()))
}

/// An argument as a text.
pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default() // the database's encoding is UTF-8, or nothing is imported
}

fn path(bytes: &[u8]) -> PathBuf {
    plain(Path::new(OsStr::from_bytes(bytes)))
}

function! {
    /// `lumina_internal.checked_path(text, text)`. Errors: 42501, 58P01, 22023 and others, each with what to do.
    checked_path, pg_finfo_checked_path,
    guarded: |arguments: Arguments| {
        let path = path(arguments.bytes(1));
        check(text(arguments.bytes(0)), &path).or_raise();
        Varlena::new(&[path.as_os_str().as_bytes()]).into_datum()
    },
}

fn check(setting: &str, path: &Path) -> Result<(), LuminaError> {
    if path.as_os_str().len() > LONGEST {
        return Err(PathError::TooLong(path.as_os_str().len()).into());
    }
    roots(setting)?.examine(path).map_err(PathError::Refused)?;
    Ok(())
}

set_function! {
    /// `lumina_internal.path_steps(text, text)`.
    path_steps, pg_finfo_path_steps, steps
}

fn steps(call: Call, rows: &mut Rows) -> Result<(), LuminaError> {
    let path = path(call.bytes(1));
    let steps = roots(text(call.bytes(0)))?.steps(&path);
    let column = |text: &str| Varlena::new(&[in_plain_encoding(text.to_owned()).as_bytes()]).into_datum();
    rows.put(steps.len(), |row, values, nulls| {
        let (step, refusal) = &steps[row];
        values[0] = column(&step.to_string_lossy());
        nulls.fill(false);
        match refusal {
            Some(refusal) => {
                values[1] = column(&refusal.to_string());
                values[2] = column(&hint(refusal));
            }
            None => nulls[1..].fill(true),
        }
    });
    Ok(())
}
