//! Compiles the `.proto` files without a system protoc and keeps the descriptors for gRPC reflection.

use std::{env, fs, path::PathBuf};

const FILES: [&str; 11] = [
    "usher/v1/types.proto",
    "usher/v1/routing.proto",
    "usher/v1/placement.proto",
    "usher/v1/servers.proto",
    "usher/v1/meetings.proto",
    "usher/v1/tenants.proto",
    "usher/v1/fleet.proto",
    "usher/v1/callbacks.proto",
    "usher/v1/hooks.proto",
    "usher/v1/library.proto",
    "usher/store/v1/store.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    for files in ["usher", "google"] {
        println!("cargo::rerun-if-changed={}", root.join(files).display());
    }
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    let descriptors = compiler.file_descriptor_set();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // With the annotations of `google.api`, which the types of the descriptors have no fields for.
    fs::write(out.join("usher_descriptors.bin"), compiler.encode_file_descriptor_set())?;
    // Messages first, then services over them: in the services a routing frame is the type that is
    // encoded once for all edges.
    tonic_prost_build::configure()
        .build_client(false)
        .build_server(false)
        .bytes("usher.v1.PlaceMeetingRequest.request_digest")
        .bytes("usher.store.v1.DeliveryValue.body")
        .bytes("usher.v1.AcceptCallbackRequest.body")
        .compile_fds(descriptors.clone())?;
    let services = out.join("services");
    fs::create_dir_all(&services)?;
    tonic_prost_build::configure()
        .out_dir(services)
        .extern_path(".usher.v1", "crate::v1")
        .extern_path(".usher.v1.StreamRoutesResponse", "crate::SharedFrame")
        .compile_fds(descriptors)?;
    Ok(())
}
