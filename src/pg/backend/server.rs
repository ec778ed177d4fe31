//! The server's own directories, which are never imported; its host and user, for errors about files; its start time;
//! whether it is a standby; and where the program is that decodes for it.

use pgrx::pg_sys::{self, Datum};
use std::ffi::{CStr, OsStr, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Once;

/// The data directory, that of the write-ahead log, the tablespaces, that of the server's log, and those of its
/// configuration.
pub(crate) fn own_directories() -> Vec<PathBuf> {
    // SAFETY: a C string for the life of the process.
    let data = path(unsafe { CStr::from_ptr((&raw const pg_sys::DataDir).read()) });
    let mut directories = vec![data.clone(), data.join("pg_wal")];
    if let Ok(tablespaces) = std::fs::read_dir(data.join("pg_tblspc")) {
        directories.extend(tablespaces.flatten().map(|entry| entry.path()));
    }
    directories.extend(setting(c"log_directory").map(|log| data.join(log)));
    for file in [c"config_file", c"hba_file", c"ident_file"] {
        directories.extend(setting(file).and_then(|file| Some(data.join(file).parent()?.to_owned())));
    }
    directories
}

fn setting(name: &CStr) -> Option<PathBuf> {
    // SAFETY: a look-up that answers NULL where there is no such setting; the text is copied.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        (!value.is_null()).then(|| path(CStr::from_ptr(value))).filter(|path| !path.as_os_str().is_empty())
    }
}

/// Where the program is that decodes formats which are not decoded inside the server: beside the library. None is left
/// behind when this process exits. Called by the backend's own thread, before it decodes.
pub(crate) fn decoder() -> PathBuf {
    static REGISTERED: Once = Once::new();
    // SAFETY: a plain call.
    REGISTERED.call_once(|| unsafe { pg_sys::before_shmem_exit(Some(end_decoders), Datum::null()) });
    // SAFETY: a C string for the life of the process, set as it starts.
    let libraries = path(unsafe { CStr::from_ptr((&raw const pg_sys::pkglib_path).cast()) });
    libraries.join(lumina_isolated::PROGRAM)
}

/// # Safety
/// Called by Postgres while the process exits: it must not raise.
unsafe extern "C-unwind" fn end_decoders(_code: c_int, _argument: Datum) {
    lumina_isolated::client::end_all();
}

fn path(text: &CStr) -> PathBuf {
    Path::new(OsStr::from_bytes(text.to_bytes())).to_owned()
}

/// The host and user that read the server's files, for users who may not know.
pub(crate) fn who_reads() -> String {
    let mut host = [0_u8; 256];
    // SAFETY: the buffer is as long as said, and its last byte stays zero; the entry is read before anybody looks for
    // another.
    let (host, user) = unsafe {
        libc::gethostname(host.as_mut_ptr().cast(), host.len() - 1);
        let entry = libc::getpwuid(libc::geteuid());
        let user = (!entry.is_null()).then(|| CStr::from_ptr((*entry).pw_name).to_string_lossy().into_owned());
        (CStr::from_bytes_until_nul(&host).unwrap_or_default().to_string_lossy(), user)
    };
    match user {
        Some(user) => {
            format!("Paths are those of the server, on host \"{host}\", and are read there by its user \"{user}\".")
        }
        None => format!("Paths are those of the server, on host \"{host}\"."),
    }
}

/// The start time of the server, which identifies this start. The same after a crash of a session.
pub(crate) fn started() -> i64 {
    // SAFETY: set by the postmaster before it starts any process.
    unsafe { (&raw const pg_sys::PgStartTime).read() }
}

/// Raises 25006 on a standby, for a function of this name.
pub(crate) fn refuse_during_recovery(function: &'static CStr) {
    // SAFETY: a plain call with a static string.
    unsafe { pg_sys::PreventCommandDuringRecovery(function.as_ptr()) };
}
