//! Compiles the publish protocol. The library gets messages and client stubs; the server stub is written beside them for the
//! tests alone, which include it, so that no service carries it.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    let file = "hesper/v1/ingest.proto";
    println!("cargo:rerun-if-changed={root}/{file}");
    let descriptors = protox::compile([file], [root])?;

    tonic_prost_build::configure()
        .bytes(".hesper.v1.Batch.values")
        .build_server(false)
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors.clone())?;

    let server = Path::new(&std::env::var("OUT_DIR")?).join("server");
    std::fs::create_dir_all(&server)?;
    tonic_prost_build::configure()
        .build_client(false)
        .emit_rerun_if_changed(false)
        .extern_path(".hesper.v1", "::hesper_client::proto")
        .out_dir(server)
        .compile_fds(descriptors)?;
    Ok(())
}
