//! An input as it is read back: whole, in part, by HEAD.

use fileyard_tests::yard::Yard;
use reqwest::Method;

#[tokio::test]
async fn an_input_is_read_whole_in_part_and_by_head() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let job = server.accepted("drill/data.bin", content.clone()).await;
    let url = format!("/jobs/{job}/input");

    let whole = server.get(&url).await;
    assert_eq!(whole.expect(200).body, content);
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let head = server.must(server.request(Method::HEAD, &url)).await;
    assert_eq!(head.expect(200).header("content-length"), "800000");
    assert!(head.body.is_empty());
    let range = |range: &str| server.request(Method::GET, &url).header("range", range);
    for (asked, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=5-104", 5, 105),
        ("bytes=799999-", 799_999, 800_000),
        ("bytes=-10", 799_990, 800_000),
    ] {
        let part = server.must(range(asked)).await;
        assert_eq!(part.expect(206).body, content[from..to], "{asked}");
        assert_eq!(part.header("content-range"), format!("bytes {from}-{}/800000", to - 1));
    }
    let beyond = server.must(range("bytes=800000-")).await;
    beyond.problem(416, "range_not_satisfiable");
    assert_eq!(beyond.header("content-range"), "bytes */800000");
    for header in ["x-content-type-options", "content-security-policy", "content-disposition"] {
        assert_ne!(whole.header(header), "", "{header} lets nothing run");
    }
}
