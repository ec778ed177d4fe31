//! The settings of a background worker: the server's own, whatever its database has preset.
//!
//! The owner of a database may preset what any user may set for every session in it (`ALTER DATABASE ... SET`), and
//! Postgres applies that to workers too: the role, how our statements are parsed, which plans they get. So the values
//! are read before the worker is connected, when they are those of the command line and the configuration files, and
//! restored afterwards. What only a superuser may set stays as the superuser has preset it.
//!
//! `client_encoding` becomes the database's own, as a worker has no client: any other would need a conversion to be
//! looked up, and there is no transaction for that yet.

use super::background::set;
use super::transaction::attempt;
use crate::pg::backend::report::ereport;
use crate::pg::version::settings;
use pgrx::PgLogLevel;
use pgrx::pg_sys::{self, GucContext, GucSource, config_generic};
use std::ffi::{CStr, CString};

const CLIENT_ENCODING: &CStr = c"client_encoding";

/// The server's values of what any user may set.
pub(crate) struct ServerSettings(Vec<(CString, CString)>);

impl ServerSettings {
    /// Reads them in a background worker that is not connected yet.
    pub(crate) fn read() -> Self {
        let users = settings().into_iter().filter(|setting| setting.context == GucContext::PGC_USERSET);
        Self(users.filter_map(|setting| Some((name(setting).to_owned(), value(setting)?))).collect())
    }

    /// Restores what differs by a preset of the database, of the role, or of both; not the settings in `kept`. Then
    /// this process has the role that it was started as, whatever was preset.
    pub(crate) fn put_back(self, kept: &[&CStr]) {
        // SAFETY: plain calls in a connected process. The authenticated user may become itself again.
        unsafe { pg_sys::SetSessionAuthorization(pg_sys::GetAuthenticatedUserId(), true) };
        set(c"role", "none");
        // SAFETY: as above; the name of an encoding is static.
        let encoding = unsafe { CStr::from_ptr(pg_sys::GetDatabaseEncodingName()) };
        set(CLIENT_ENCODING, &encoding.to_string_lossy());
        let preset: Vec<&CStr> = settings().into_iter().filter(|setting| is_preset(setting)).map(name).collect();
        for (name, value) in self.0 {
            let name = name.as_c_str();
            let is_done = [c"role", c"session_authorization", CLIENT_ENCODING].contains(&name);
            if is_done || !preset.contains(&name) || kept.contains(&name) {
                continue;
            }
            // A value that Postgres accepts only at the server's start must not keep jobs from running.
            if let Err(caught) = attempt(|| set(name, &value.to_string_lossy())) {
                ereport(
                    PgLogLevel::WARNING,
                    &format!("lumina: {} stays as it is preset: {}", name.to_string_lossy(), caught.message),
                );
            }
        }
    }
}

fn name(setting: &config_generic) -> &CStr {
    // SAFETY: every setting has a name, which stays.
    unsafe { CStr::from_ptr(setting.name) }
}

/// The value that `SHOW` prints, but without units; `None` where there is none.
fn value(setting: &config_generic) -> Option<CString> {
    // SAFETY: a look-up by the name of one that is there; the text is copied.
    unsafe {
        let value = pg_sys::GetConfigOption(setting.name, true, false);
        (!value.is_null()).then(|| CStr::from_ptr(value).to_owned())
    }
}

fn is_preset(setting: &config_generic) -> bool {
    use GucSource::*;
    [PGC_S_GLOBAL, PGC_S_DATABASE, PGC_S_USER, PGC_S_DATABASE_USER].contains(&setting.source)
}
