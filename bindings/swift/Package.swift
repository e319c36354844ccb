// swift-tools-version: 6.0
import PackageDescription

let package = Package(
    name: "Helio",
    platforms: [.macOS(.v13), .iOS(.v16), .tvOS(.v16), .watchOS(.v9)],
    products: [.library(name: "Helio", targets: ["Helio"])],
    targets: [
        .systemLibrary(name: "CHelio", pkgConfig: "helio"),
        .target(name: "Helio", dependencies: ["CHelio"]),
        .executableTarget(name: "driver", dependencies: ["Helio"]),
        .testTarget(name: "HelioTests", dependencies: ["Helio"]),
    ],
    swiftLanguageModes: [.v6]
)
