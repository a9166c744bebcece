//! The list of a format's files. Its digest names the generation, so that equal files are one generation (R14).

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::names::{GenerationId, Sha256Hex};

/// The most files of one format.
pub const FILES_MAX: usize = 100_000;
/// The longest path of a file, bytes.
const PATH_MAX: usize = 512;
/// The name of the file that the library makes itself, of the facts in the index.
pub const METADATA: &str = "metadata.xml";

/// The files of one generation, sorted by path, each path once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<ManifestFile>", into = "Vec<ManifestFile>")]
pub struct FormatManifest(Vec<ManifestFile>);

/// One file of a format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// The path below the folder of the recording, with `/` between its parts.
    pub path: String,
    /// The size of the file, bytes.
    pub size: u64,
    /// The SHA-256 of its content.
    pub sha256: Sha256Hex,
}

/// The reason why a list of files is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// There is no file.
    #[error("the list of files is empty")]
    Empty,
    /// There are too many files.
    #[error("the list has more than {FILES_MAX} files")]
    TooMany,
    /// A path leads out of the folder, or contains characters that no file of a format has.
    #[error("the path of file {0} is not a relative path of plain names")]
    Path(usize),
    /// Two files have one path, or one is a folder of the other.
    #[error("the path of file {0} is in the list twice, or is a folder of another file")]
    Repeated(usize),
    /// The sum of all sizes has no 64 bits.
    #[error("the sizes are too large")]
    Size,
}

impl FormatManifest {
    /// Checks a list of files. The file `metadata.xml` is left out: the library makes it of the facts, so that it is
    /// no part of the content.
    ///
    /// # Errors
    /// The list cannot be the files of a format.
    pub fn new(mut files: Vec<ManifestFile>) -> Result<Self, ManifestError> {
        if files.len() > FILES_MAX {
            return Err(ManifestError::TooMany);
        }
        if let Some(at) = files.iter().position(|file| !is_plain_path(&file.path)) {
            return Err(ManifestError::Path(at));
        }
        files.retain(|file| file.path != METADATA);
        if files.is_empty() {
            return Err(ManifestError::Empty);
        }
        // By the parts of the paths, so that a folder stands directly before its files.
        files.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
        let is_below = |folder: &str, path: &str| {
            path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let repeated = files.windows(2).position(|pair| is_below(&pair[0].path, &pair[1].path));
        if let Some(at) = repeated {
            return Err(ManifestError::Repeated(at + 1));
        }
        if files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.size)).is_none() {
            return Err(ManifestError::Size);
        }
        Ok(Self(files))
    }

    /// Returns the files, sorted by path.
    pub fn files(&self) -> &[ManifestFile] {
        &self.0
    }

    /// Returns a file by its path.
    pub fn find(&self, path: &str) -> Option<&ManifestFile> {
        let found = self.0.binary_search_by(|file| file.path.split('/').cmp(path.split('/')));
        found.ok().and_then(|at| self.0.get(at))
    }

    /// Returns the size of all files, bytes.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|file| file.size).sum()
    }

    /// Returns the name of the generation that these files are.
    pub fn generation(&self) -> GenerationId {
        let mut hash = Sha256::new();
        for file in &self.0 {
            // A path contains no line break, so that no two lists have one text.
            hash.update(format!("{}\n{}\n{}\n", file.path, file.size, file.sha256));
        }
        GenerationId::of_digest(&hash.finalize())
    }
}

impl TryFrom<Vec<ManifestFile>> for FormatManifest {
    type Error = ManifestError;
    fn try_from(files: Vec<ManifestFile>) -> Result<Self, ManifestError> {
        Self::new(files)
    }
}

impl From<FormatManifest> for Vec<ManifestFile> {
    fn from(manifest: FormatManifest) -> Self {
        manifest.0
    }
}

/// Returns whether a path consists of plain names: relative, without `.` and `..`, and without control characters.
fn is_plain_path(path: &str) -> bool {
    path.len() <= PATH_MAX
        && !path.contains(|c: char| c.is_control() || c == '\\')
        && path.split('/').all(|name| !name.is_empty() && name != "." && name != ".." && name.len() <= 255)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(path: &str) -> ManifestFile {
        ManifestFile { path: path.into(), size: 1, sha256: Sha256Hex::parse(&"0".repeat(64)).unwrap() }
    }

    #[test]
    fn paths_out_of_the_folder_and_repeated_ones_are_refused() {
        let list = |paths: &[&str]| FormatManifest::new(paths.iter().map(|path| file(path)).collect());
        for path in ["/a", "../a", "a/../b", "a//b", "a/", "", ".", "a\nb", "a\u{7f}", "a\\b", "a\0"] {
            assert_eq!(list(&["x", path]), Err(ManifestError::Path(1)), "{path:?}");
        }
        assert!(matches!(list(&["a", "a"]), Err(ManifestError::Repeated(_))));
        assert!(matches!(list(&["a", "a-b", "a/b"]), Err(ManifestError::Repeated(_))));
        assert_eq!(list(&["metadata.xml"]), Err(ManifestError::Empty));
        assert_eq!(list(&["b", "a", "metadata.xml"]).unwrap().files().len(), 2);
    }

    proptest! {
        #[test]
        fn each_file_is_found_by_its_path(names in prop::collection::vec("[a-c]{1,2}(/[a-c-]{1,2}){0,2}", 1..12)) {
            let Ok(manifest) = FormatManifest::new(names.iter().map(|name| file(name)).collect()) else { return Ok(()) };
            for name in &names {
                prop_assert_eq!(manifest.find(name).map(|file| file.path.as_str()), Some(name.as_str()));
            }
            prop_assert_eq!(manifest.find("d"), None);
        }

        #[test]
        fn r14_the_order_of_a_list_and_its_metadata_are_no_part_of_a_generation(
            names in prop::collection::btree_set("[a-c]{1,3}(/[a-c]{1,2})?", 1..8),
            seed in any::<u64>(),
        ) {
            let files: Vec<_> = names.iter().map(|name| file(name)).collect();
            let Ok(one) = FormatManifest::new(files.clone()) else { return Ok(()) };
            let mut other = files;
            other.push(file(METADATA));
            let len = other.len();
            other.rotate_left(seed as usize % len);
            prop_assert_eq!(FormatManifest::new(other).unwrap().generation(), one.generation());
        }

        #[test]
        fn other_files_are_another_generation(a in "[a-z]{1,8}", b in "[a-z]{1,8}", size in 2_u64..9) {
            let one = FormatManifest::new(vec![file(&a)]).unwrap();
            prop_assert_eq!(a == b, FormatManifest::new(vec![file(&b)]).unwrap().generation() == one.generation());
            let larger = ManifestFile { size, ..file(&a) };
            prop_assert_ne!(FormatManifest::new(vec![larger]).unwrap().generation(), one.generation());
        }
    }
}
