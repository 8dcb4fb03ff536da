//! Zig byte streams as `AsyncRead`, Zig byte sinks as `AsyncWrite`, under smol and under tokio.
//!
//! ```text
//! cargo run --release --example async_read
//! ```

use std::fs;
use std::path::Path;

use futures::{AsyncBufReadExt, AsyncWriteExt, TryStreamExt, io};
use tokio_util::compat::{FuturesAsyncReadCompatExt, FuturesAsyncWriteCompatExt};
use ziggurat::{BufferPool, ZigError};
use ziggurat_examples_zig::{chunks, store};

const POEM: &str = "Tyger Tyger, burning bright,\nIn the forests of the night;\n\
                    What immortal hand or eye,\nCould frame thy fearful symmetry?";

/// The traits of the `futures` crate, which smol and async-std use. `AsyncBufRead` lends the chunks
/// where they lie.
async fn lines_under_smol(path: &Path) -> anyhow::Result<()> {
    // Blocks of 10 bytes: lines cross the chunks' borders.
    let reader = chunks(path).block_size(10).open()?.into_async_read();
    let lines: Vec<String> = reader.lines().try_collect().await?;
    assert_eq!(lines, POEM.lines().collect::<Vec<_>>());
    println!("smol: {} lines", lines.len());
    Ok(())
}

/// tokio's traits are one `compat()` away.
async fn lines_under_tokio(path: &Path) -> anyhow::Result<()> {
    use tokio::io::AsyncBufReadExt;

    let reader = chunks(path).open()?.into_async_read().compat();
    let mut lines = reader.lines();
    let mut count = 0;
    while let Some(line) = lines.next_line().await? {
        assert_eq!(Some(line.as_str()), POEM.lines().nth(count));
        count += 1;
    }
    assert_eq!(count, 4);
    println!("tokio: {count} lines");
    Ok(())
}

/// What is written goes into blocks of a pool; those go to Zig without another copy.
async fn write_under_smol(path: &Path) -> anyhow::Result<()> {
    let pool = BufferPool::builder(4096).blocks(4).build()?;
    let mut writer = store(path).open()?.into_async_write(pool);
    for line in POEM.lines().cycle().take(1000) {
        writer.write_all(line.as_bytes()).await?;
        writer.write_all(b"\n").await?;
    }
    writer.close().await?;
    let bytes = writer.take_result();
    assert_eq!(bytes, Some(fs::metadata(path)?.len()));
    assert_eq!(fs::read_to_string(path)?, format!("{POEM}\n").repeat(250));
    println!("smol: wrote {} bytes", fs::metadata(path)?.len());
    Ok(())
}

/// From one to the other with the copy loop of tokio.
async fn copy_under_tokio(from: &Path, to: &Path) -> anyhow::Result<()> {
    use tokio::io::AsyncWriteExt;

    let pool = BufferPool::builder(4096).blocks(4).build()?;
    let mut reader = chunks(from).open()?.into_async_read().compat();
    let mut writer = store(to).open()?.into_async_write(pool).compat_write();
    let bytes = tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await?;
    assert_eq!(writer.into_inner().take_result(), Some(bytes));
    assert_eq!(fs::read(to)?, fs::read(from)?);
    println!("tokio: copied {bytes} bytes");
    Ok(())
}

/// An error keeps its kind for those who know `io::Error`, and its source for those who ask.
async fn an_error(folder: &Path) -> anyhow::Result<()> {
    let mut reader = chunks(&folder.join("missing")).open()?.into_async_read();
    let error = reader.fill_buf().await.expect_err("there is no such file");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let source = error.get_ref().and_then(|source| source.downcast_ref::<ZigError>());
    assert_eq!(source.and_then(ZigError::name), Some("FileNotFound"));
    println!("an error: {}", error.kind());
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    fs::write(path("poem"), POEM)?;
    smol::block_on(async {
        lines_under_smol(&path("poem")).await?;
        write_under_smol(&path("poems")).await?;
        an_error(folder.path()).await
    })?;
    tokio::runtime::Runtime::new()?.block_on(async {
        lines_under_tokio(&path("poem")).await?;
        copy_under_tokio(&path("poems"), &path("copy")).await
    })
}
