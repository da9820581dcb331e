//! Every address that is handed out, in one place: nothing else formats one.

use fileyard_storage::{
    id::{BatchId, JobId, ProcessorName},
    job::StateName,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// What needs no escape in a path's segment or a query's value.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Addresses below one base: path-absolute, unless a `public_url` is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Urls {
    base: String,
}

impl Urls {
    /// For JSON and `Location`.
    #[must_use]
    pub(crate) fn api(public_url: Option<&Url>) -> Self {
        let base = public_url.map(|url| url.as_str().trim_end_matches('/').to_owned());
        Self { base: base.unwrap_or_default() }
    }

    /// For pages: they are asked for under several names of the host, and their links stay there.
    #[must_use]
    pub(crate) fn page(public_url: Option<&Url>) -> Self {
        let base = public_url.map(|url| url.path().trim_end_matches('/').to_owned());
        Self { base: base.unwrap_or_default() }
    }

    /// The page with the upload form.
    #[must_use]
    pub(crate) fn home(&self) -> String {
        format!("{}/", self.base)
    }

    /// The same, with one processor's fields.
    #[must_use]
    pub(crate) fn home_of(&self, processor: &ProcessorName) -> String {
        format!("{}/?processor={processor}", self.base)
    }

    /// Where a form goes.
    #[must_use]
    pub(crate) fn upload(&self) -> String {
        format!("{}/upload", self.base)
    }

    /// A job.
    #[must_use]
    pub(crate) fn job(&self, id: JobId) -> String {
        format!("{}/status/{id}", self.base)
    }

    /// Its input.
    #[must_use]
    pub(crate) fn input(&self, id: JobId) -> String {
        format!("{}/jobs/{id}/input", self.base)
    }

    /// Its log.
    #[must_use]
    pub(crate) fn logs(&self, id: JobId) -> String {
        format!("{}/jobs/{id}/logs", self.base)
    }

    /// Where it is cancelled.
    #[must_use]
    pub(crate) fn cancel(&self, id: JobId) -> String {
        format!("{}/jobs/{id}/cancel", self.base)
    }

    /// Where it is done again.
    #[must_use]
    pub(crate) fn retry(&self, id: JobId) -> String {
        format!("{}/jobs/{id}/retry", self.base)
    }

    /// One of its outputs; `name` is a path with `/` between its parts.
    #[must_use]
    pub(crate) fn output(&self, id: JobId, name: &str) -> String {
        let parts: Vec<_> =
            name.split('/').map(|part| utf8_percent_encode(part, SEGMENT).to_string()).collect();
        format!("{}/jobs/{id}/outputs/{}", self.base, parts.join("/"))
    }

    /// The jobs of one request.
    #[must_use]
    pub(crate) fn batch(&self, id: BatchId) -> String {
        format!("{}/jobs?batch={id}", self.base)
    }

    /// All jobs.
    #[must_use]
    pub(crate) fn jobs(&self) -> String {
        format!("{}/jobs", self.base)
    }

    /// A list of jobs, narrowed.
    #[must_use]
    pub(crate) fn jobs_where(
        &self,
        state: Option<StateName>,
        processor: Option<&ProcessorName>,
        batch: Option<BatchId>,
        cursor: Option<&str>,
    ) -> String {
        let query = [
            ("state", state.map(|state| state.as_str().to_owned())),
            ("processor", processor.map(ToString::to_string)),
            ("batch", batch.map(|batch| batch.to_string())),
            ("cursor", cursor.map(|cursor| utf8_percent_encode(cursor, SEGMENT).to_string())),
        ];
        let query: Vec<_> = query
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| format!("{name}={value}")))
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}/jobs{mark}{}", self.base, query.join("&"))
    }

    /// The form that asks for the key; `back` is a path as it was asked for.
    #[must_use]
    pub(crate) fn login(&self, back: Option<&str>) -> String {
        let next = back.map(|path| format!("{}{path}", self.base));
        let next = next.map(|next| format!("?next={}", utf8_percent_encode(&next, SEGMENT)));
        format!("{}/login{}", self.base, next.unwrap_or_default())
    }

    /// The same once more, by the page itself; `next` is an address of ours.
    #[must_use]
    pub(crate) fn login_again(&self, next: &str) -> String {
        format!("{}/login?again=1&next={}", self.base, utf8_percent_encode(next, SEGMENT))
    }

    /// Where a session ends.
    #[must_use]
    pub(crate) fn logout(&self) -> String {
        format!("{}/logout", self.base)
    }

    /// An embedded file of the pages.
    #[must_use]
    pub(crate) fn asset(&self, name: &str) -> String {
        format!("{}/assets/{name}", self.base)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn addresses_are_path_absolute_unless_a_public_url_is_set() {
        let id = JobId::from_u128(1);
        let public = Url::parse("https://files.example/yard/").unwrap();
        assert_eq!(Urls::api(None).job(id), format!("/status/{id}"));
        assert_eq!(
            Urls::api(Some(&public)).job(id),
            format!("https://files.example/yard/status/{id}")
        );
        assert_eq!(Urls::page(Some(&public)).job(id), format!("/yard/status/{id}"));
        let root = Url::parse("https://files.example").unwrap();
        assert_eq!(Urls::page(Some(&root)).home(), "/");
    }

    #[test]
    fn an_outputs_name_is_data_in_its_address() {
        let url = Urls::api(None).output(JobId::from_u128(1), "a b/ü?#%2F\"<.png");
        assert!(url.ends_with("/outputs/a%20b/%C3%BC%3F%23%252F%22%3C.png"), "{url}");
    }
}
