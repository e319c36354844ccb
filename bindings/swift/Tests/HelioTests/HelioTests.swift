import Helio
import XCTest

/// What needs no server; the table of scenarios has the rest (test.sh).
final class HelioTests: XCTestCase {
    func testAWrongConfigIsNamed() {
        XCTAssertThrowsError(try Client(config: #"{"api_ky":"x"}"#)) { error in
            XCTAssertEqual((error as? HelioError)?.statusName, "HELIO_ERR_INVALID_ARGUMENT")
            XCTAssertTrue("\(error)".contains("api_key"))
        }
    }

    func testAClosedClientRefuses() async throws {
        let client = try Client(config: #"{"api_key":"k"}"#)
        client.close()
        do {
            _ = try await client.complete("{}")
            XCTFail("it was asked")
        } catch let error as HelioError {
            XCTAssertEqual(error.statusName, "HELIO_ERR_SHUT_DOWN")
        }
    }

    func testAChatKeepsItsMessages() throws {
        let chat = try Chat()
        try chat.add(role: "user", text: "Hi ✓")
        XCTAssertEqual(chat.count, 1)
        XCTAssertEqual(try jsonGet(try chat.request(), "/messages/0/content"), "Hi ✓")
        XCTAssertThrowsError(try chat.add(role: "nobody", text: "x"))
        try chat.remove(first: 0, count: 1)
        XCTAssertEqual(chat.count, 0)
    }

    func testNothingShowsTheKey() throws {
        let client = try Client(config: #"{"api_key":"sk-secret"}"#)
        XCTAssertFalse("\(client) \(String(reflecting: client))".contains("sk-secret"))
    }
}
