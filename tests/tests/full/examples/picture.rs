//! ImageMagick: thumbnails.

use super::*;

/// Red, of that size, as a PNG whose data is not compressed.
fn png(width: u32, height: u32) -> Vec<u8> {
    let row = [vec![0], [255, 0, 0].repeat(width as usize)].concat();
    let raw = row.repeat(height as usize);
    let mut data = vec![0x78, 1];
    let mut blocks = raw.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap();
        data.push(u8::from(blocks.peek().is_none()));
        data.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
        data.extend(block);
    }
    let (a, b) = raw.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    data.extend(((b << 16) | a).to_be_bytes());
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let chunks = [chunk(b"IHDR", &head), chunk(b"IDAT", &data), chunk(b"IEND", &[])];
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [&kind[..], data].concat();
    let crc = body.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
        })
    });
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length[..], &body, &(!crc).to_be_bytes()].concat()
}

/// Width and height, as a PNG's or a JPEG's own header says.
fn size(picture: &[u8]) -> (u32, u32) {
    let pair = |at: usize| u32::from(u16::from_be_bytes([picture[at], picture[at + 1]]));
    if picture.starts_with(b"\x89PNG\r\n\x1a\n") {
        return (pair(18), pair(22));
    }
    assert!(picture.starts_with(b"\xff\xd8\xff"), "neither PNG nor JPEG");
    let mut at = 2;
    while !matches!(picture[at + 1], 0xc0..=0xc2) {
        at += 2 + pair(at + 2) as usize;
    }
    (pair(at + 7), pair(at + 5))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imagemagick_makes_thumbnails() {
    let yard = Yard::of_example("imagemagick");
    let server = yard.start().await;
    let picture = png(200, 100);
    std::fs::write(yard.path().join("red.png"), &picture).unwrap();
    form_has(
        &server,
        &[
            r#"<input type="number" id="param-width" name="param.width" value="256" min="16" max="2048" step="1">"#,
            r#"<select id="param-format" name="param.format">"#,
            "<option selected>png</option>",
            "<option>webp</option>",
            r##"name="param.background" value="#ffffff" pattern="#[0-9A-Fa-f]{6}""##,
        ],
    )
    .await;
    let ways = three_ways(
        &yard,
        &server,
        "thumbnail",
        "red.png",
        [
            &[("width", "64"), ("background", "#00ff00")],
            &[("width", "50"), ("format", "jpg"), ("transparency", "remove")],
            &[("width", "2048"), ("format", "webp")],
        ],
    )
    .await;
    let (name, bytes) = output(&server, &ways.form).await;
    assert_eq!((name.as_str(), size(&bytes)), ("red.png", (64, 32)));
    let (name, bytes) = output(&server, &ways.put).await;
    assert_eq!((name.as_str(), size(&bytes)), ("red.jpg", (50, 25)));
    let [(name, bytes)] = &ways.written[..] else { panic!("one file") };
    assert!(name == "red.webp" && bytes.starts_with(b"RIFF") && &bytes[8..12] == b"WEBP");
    assert_eq!(ways.submit["params"]["width"], 2048);

    names_are_data(&server, "thumbnail", "", &picture).await;
    names_are_data(&server, "thumbnail", ".png", &picture).await;
    let mut bad = vec![
        ("width", "15"),
        ("width", "-5"),
        ("width", "64x64"),
        ("format", "svg"),
        ("format", "png:/out/x"),
        ("background", "red"),
        ("background", "#ffffff\n"),
        ("size", "1"),
    ];
    bad.extend(TEXTS.map(|text| ("background", text)));
    are_refused(&server, "thumbnail/a.png", &picture, &bad).await;

    // What would make other programs of it is no picture, whatever it is called.
    let svg = "<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>";
    server.put("thumbnail/a.png", svg).await.problem(415, "unsupported_type");
    server.put("thumbnail/a.png", "%!PS-Adobe-3.0 EPSF\n").await.problem(415, "unsupported_type");
    // Too large a picture is told in the log, and not killed.
    let job = server.accepted("thumbnail/wide.png", png(16_500, 2)).await;
    let job = server.ended(&job, LONG).await;
    assert_eq!((&job["reason"]["code"], &job["attempt"]), (&"exit".into(), &1.into()), "{job:#}");
    assert!(server.log(&id(&job)).await.contains("convert"), "{job:#}");
    let job = server.accepted("thumbnail/large.png", png(7_000, 6_000)).await;
    let job = server.ended(&job, LONG).await;
    let log = server.log(&id(&job)).await;
    assert_eq!(job["reason"]["code"], "exit", "{job:#}");
    assert!(log.contains("cache resources exhausted"), "{log}");
    yard.nothing_left().await;
}
