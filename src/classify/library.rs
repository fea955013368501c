//! Where the ONNX Runtime library is.
//!
//! The path is found before the binding is asked for anything: the binding panics where it
//! has to look for the library itself and finds none.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};

use super::OpenError;

/// The library's path: the configured one, else `ORT_DYLIB_PATH`, else the first of the
/// usual places that has it.
pub(super) fn find(configured: Option<&str>) -> Result<PathBuf, OpenError> {
    let variable = std::env::var_os("ORT_DYLIB_PATH").filter(|value| !value.is_empty());
    let named = match (configured, variable) {
        (Some(path), _) => Some((PathBuf::from(path), "classifier.library")),
        (None, Some(path)) => Some((PathBuf::from(path), "ORT_DYLIB_PATH")),
        (None, None) => None,
    };
    if let Some((path, by)) = named {
        if path.is_file() {
            return Ok(absolute(&path));
        }
        return Err(OpenError::LibraryNamed { path, by });
    }
    let places = usual();
    places.iter().find(|path| path.is_file()).map(|path| absolute(path)).ok_or_else(|| {
        let looked: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
        OpenError::NoLibrary { looked: looked.join(", ") }
    })
}

/// The binding takes a relative path from the binary's folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn usual() -> Vec<PathBuf> {
    let name = format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}");
    let mut places = Vec::new();
    let folder = |variable| std::env::var_os(variable).filter(|v| !v.is_empty()).map(PathBuf::from);
    // Where `scripts/onnxruntime` puts it.
    let cache = folder("WEIR_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("weir")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/weir")));
    places.extend(cache.map(|cache| cache.join("onnxruntime").join(&name)));
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(&name)));
    places.extend(beside);
    for root in ["/usr/local/lib/weir", "/usr/local/lib", "/usr/lib"] {
        places.push(Path::new(root).join(&name));
    }
    places.push(
        Path::new("/usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH)).join(name),
    );
    places
}
