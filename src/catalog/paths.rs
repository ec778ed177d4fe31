//! Paths of the server that may be imported: `checked_path` and `path_steps` of the schema `lumina_internal`, behind
//! `import` and `check_path`.

use crate::error::{LuminaError, OrRaise};
use crate::pg::call::function;
use crate::pg::datum::Varlena;
use crate::pg::message::in_plain_encoding;
use crate::pg::rows::{Call, Rows, set_function};
use crate::pg::server;
use lumina_import::names::LONGEST;
use lumina_import::roots::plain;
use lumina_import::{Refusal, Roots};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Parses the text of the setting. Errors: 22023.
pub(crate) fn roots(setting: &str) -> Result<Roots, LuminaError> {
    let roots = Roots::parse(setting).map_err(LuminaError::ImportRoots)?;
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
        return Err(LuminaError::ImportPathLong(path.as_os_str().len()));
    }
    roots(setting)?.look(path).map_err(LuminaError::ImportPath)?;
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

/// The hint for a path that is refused.
pub(crate) fn hint(refusal: &Refusal) -> String {
    let do_what = match refusal {
        Refusal::NotAbsolute(_) => "Give the path from the root of the file system.",
        Refusal::Dots(_) => "Give the path itself, without \"..\".",
        Refusal::Outside(_) => {
            "A superuser allows it: ALTER ROLE ... SET lumina.import_roots = '/srv/photos', ALTER DATABASE or ALTER SYSTEM \
             with pg_reload_conf(); SET in a session does not count."
        }
        Refusal::Protected(_) => "What the server itself lives in is never imported.",
        Refusal::Link(_) => "Links are not followed: give the path that it leads to.",
        Refusal::NotFound(_) => "Is it on this machine? SELECT * FROM lumina.check_path(...) looks at each step.",
        Refusal::NotDirectory(_) | Refusal::Special(_) => "Give a directory, or a regular file.",
        Refusal::Permission(_) => "Let that user read it: chmod o+rX, or a group of that user's.",
        Refusal::Io { .. } => "The server's log and that of the system may say more.",
    };
    format!("{do_what} {}", server::who_reads())
}
