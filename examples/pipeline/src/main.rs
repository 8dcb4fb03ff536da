use futures::{TryStreamExt, executor::block_on};
use ziggurat::ZigByteStream;

ziggurat::bind! {
    library "pipeline";
    fn lines(path: &std::path::Path) -> ZigByteStream;
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut lines = lines("Cargo.toml".as_ref()).open()?;
    while let Some(line) = block_on(lines.try_next())? {
        println!("{}", String::from_utf8_lossy(&line));
    }
    Ok(())
}
