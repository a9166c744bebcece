use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::*;

/// Long enough for bytes to arrive if they can.
const SOON: Duration = Duration::from_secs(5);
/// Long enough to conclude that no byte arrives.
const A_WHILE: Duration = Duration::from_millis(100);

/// Returns a link to a target that sends every byte back, and the number of bytes that the target
/// received.
async fn echo() -> Result<(FaultyLink, watch::Receiver<usize>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let link = FaultyLink::start(listener.local_addr()?)?;
    let (got, seen) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let got = got.clone();
            tokio::spawn(async move {
                let mut bytes = [0; 64];
                while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                    got.send_modify(|sum| *sum += read);
                    if stream.write_all(&bytes[..read]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok((link, seen))
}

async fn comes_back(stream: &mut TcpStream, byte: u8) -> Result<()> {
    let mut back = [0];
    timeout(SOON, stream.read_exact(&mut back)).await.context("no byte came back")??;
    anyhow::ensure!(back == [byte], "{back:?}");
    Ok(())
}

async fn is_silent(stream: &mut TcpStream) -> Result<()> {
    let mut back = [0];
    let heard = timeout(A_WHILE, stream.read(&mut back)).await;
    anyhow::ensure!(heard.is_err(), "received {heard:?}");
    Ok(())
}

/// Sends `byte` until it does not come back: the link needs a moment to find the owner of a
/// connection.
async fn falls_silent(stream: &mut TcpStream, byte: u8) -> Result<()> {
    let mut back = [0];
    let fall = async {
        loop {
            stream.write_all(&[byte]).await?;
            match timeout(A_WHILE, stream.read(&mut back)).await {
                Ok(read) => anyhow::ensure!(read? == 1, "it ended"),
                Err(_) => return Ok(()),
            }
        }
    };
    timeout(SOON, fall).await.context("it never falls silent")?
}

#[tokio::test]
async fn a_cut_link_is_silent_and_carries_on_once_it_is_open() -> Result<()> {
    let (link, got) = echo().await?;
    let mut stream = TcpStream::connect(link.address()).await?;
    stream.write_all(b"a").await?;
    comes_back(&mut stream, b'a').await?;
    link.set(LinkCondition::Cut);
    stream.write_all(b"b").await?;
    let mut fresh = TcpStream::connect(link.address()).await?;
    fresh.write_all(b"c").await?;
    is_silent(&mut stream).await?;
    is_silent(&mut fresh).await?;
    anyhow::ensure!(*got.borrow() == 1, "the target received {} bytes", *got.borrow());
    link.heal();
    comes_back(&mut stream, b'b').await?;
    comes_back(&mut fresh, b'c').await
}

#[tokio::test]
async fn a_link_without_answers_still_delivers_requests() -> Result<()> {
    let (link, mut got) = echo().await?;
    link.set(LinkCondition::NoAnswers);
    let mut stream = TcpStream::connect(link.address()).await?;
    stream.write_all(b"a").await?;
    timeout(SOON, got.wait_for(|sum| *sum == 1)).await.context("the target received no byte")??;
    is_silent(&mut stream).await?;
    link.set(LinkCondition::NoRequests);
    comes_back(&mut stream, b'a').await?;
    stream.write_all(b"b").await?;
    is_silent(&mut stream).await?;
    anyhow::ensure!(*got.borrow() == 1, "the target received {} bytes", *got.borrow());
    Ok(())
}

#[tokio::test]
async fn a_closed_link_ends_connections_and_refuses_new_ones() -> Result<()> {
    let (link, _got) = echo().await?;
    let mut stream = TcpStream::connect(link.address()).await?;
    stream.write_all(b"a").await?;
    comes_back(&mut stream, b'a').await?;
    link.set(LinkCondition::Closed);
    let mut back = [0];
    let ended = timeout(SOON, stream.read(&mut back)).await.context("it stays open")?;
    anyhow::ensure!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    anyhow::ensure!(TcpStream::connect(link.address()).await.is_err(), "it accepts a connection");
    link.heal();
    let mut stream =
        crate::wait::until("the link to listen", || async { Ok(TcpStream::connect(link.address()).await?) })
            .await?;
    stream.write_all(b"b").await?;
    comes_back(&mut stream, b'b').await
}

#[tokio::test]
async fn a_link_is_cut_for_one_process_and_open_for_others() -> Result<()> {
    if !caller_lookup_is_supported() {
        eprintln!("skipped: this system does not report the owner of a connection");
        return Ok(());
    }
    let (link, _got) = echo().await?;
    let mut ours = TcpStream::connect(link.address()).await?;
    link.set_for(1, LinkCondition::Cut);
    ours.write_all(b"a").await?;
    comes_back(&mut ours, b'a').await?;
    link.set_for(std::process::id(), LinkCondition::Cut);
    let mut fresh = TcpStream::connect(link.address()).await?;
    for stream in [&mut ours, &mut fresh] {
        falls_silent(stream, b'b').await?;
    }
    link.heal();
    comes_back(&mut ours, b'b').await?;
    comes_back(&mut fresh, b'b').await
}
