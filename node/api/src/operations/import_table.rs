//! ImportTable.

use super::{
    Call,
    create_table::{self, CreateTableInput},
    import_description,
};
use crate::{
    errors,
    imports::{CsvOptions, ImportCompression, ImportFormat, ImportRequest, ImportSource},
    input::{
        self, Input,
        shape::{Shape, TEXTS},
    },
    validation::constraints::Constraints,
};
use cairn_model::ServiceError;
use serde::Deserialize;

const BUCKET_BYTES_MAX: usize = 255;
const BUCKET_PATTERN: &str = r"^[a-z0-9A-Z]+[\.\-\w]*[a-z0-9A-Z]+$";
const OWNER_DIGITS: usize = 12;
const PREFIX_BYTES_MAX: usize = 1_024;
const DELIMITERS: &[&str] = &[",", ";", ":", "|", "\t", " "];
const HEADERS_MAX: usize = 255;
const HEADER_BYTES_MAX: usize = 65_536;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImportTableInput {
    client_token: Option<String>,
    #[serde(rename = "S3BucketSource")]
    s3_bucket_source: Option<SourceInput>,
    input_format: Option<String>,
    input_format_options: Option<FormatOptionsInput>,
    input_compression_type: Option<String>,
    table_creation_parameters: Option<CreateTableInput>,
}

#[derive(Debug, Deserialize)]
struct SourceInput {
    #[serde(rename = "S3BucketOwner")]
    owner: Option<String>,
    #[serde(rename = "S3Bucket")]
    bucket: Option<String>,
    #[serde(rename = "S3KeyPrefix")]
    key_prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FormatOptionsInput {
    csv: Option<CsvInput>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CsvInput {
    delimiter: Option<String>,
    header_list: Option<Vec<String>>,
}

const SOURCE: Shape = Shape::Struct(
    "S3BucketSource",
    &[("S3BucketOwner", Shape::Text), ("S3Bucket", Shape::Text), ("S3KeyPrefix", Shape::Text)],
);
const CSV: Shape = Shape::Struct("CsvOptions", &[("Delimiter", Shape::Text), ("HeaderList", TEXTS)]);

impl Input for ImportTableInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("ClientToken", Shape::Text),
        ("S3BucketSource", SOURCE),
        ("InputFormat", Shape::Text),
        ("InputFormatOptions", Shape::Struct("InputFormatOptions", &[("Csv", CSV)])),
        ("InputCompressionType", Shape::Text),
        ("TableCreationParameters", Shape::Struct("TableCreationParameters", create_table::FIELDS)),
    ];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let mut input: ImportTableInput = input::parse(call.body)?;
    input.table_creation_parameters = input.table_creation_parameters.map(CreateTableInput::of_import);
    input.constrain()?;
    let format = input.format()?;
    let mut parameters = input.table_creation_parameters.ok_or_else(errors::internal)?;
    let table_name = parameters.table_name.take().unwrap_or_default();
    let table = parameters.into_table(table_name)?;
    let source = input.s3_bucket_source.ok_or_else(errors::internal)?;
    let request = ImportRequest {
        client_token: input.client_token,
        source: ImportSource {
            bucket: source.bucket.unwrap_or_default(),
            key_prefix: source.key_prefix,
            bucket_owner: source.owner,
        },
        format,
        compression: match input.input_compression_type.as_deref() {
            Some("GZIP") => ImportCompression::Gzip,
            Some("ZSTD") => ImportCompression::Zstd,
            _ => ImportCompression::None,
        },
    };
    let imports = call.imports.ok_or_else(errors::imports_unavailable)?;
    // Whoever imports refuses a name that is taken.
    let _ = call.known_table(&table.table_name);
    Ok(import_description::answer(&imports.import_table(call.account, request, table).await?))
}

impl ImportTableInput {
    fn constrain(&self) -> Result<(), ServiceError> {
        let mut constraints = Constraints::default();
        if let Some(token) = self.client_token.as_deref().filter(|token| token.is_empty() || token.contains('$')) {
            constraints.value(token, "clientToken", r"Member must satisfy regular expression pattern: ^[^\$]+$");
        }
        constraints.required("s3BucketSource", self.s3_bucket_source.is_some());
        if let Some(source) = &self.s3_bucket_source {
            source.constrain(&mut constraints);
        }
        constraints.required("inputFormat", self.input_format.is_some());
        constraints.one_of("inputFormat", self.input_format.as_deref(), &["DYNAMODB_JSON", "ION", "CSV"]);
        if let Some(csv) = self.input_format_options.as_ref().and_then(|options| options.csv.as_ref()) {
            csv.constrain(&mut constraints);
        }
        constraints.one_of("inputCompressionType", self.input_compression_type.as_deref(), &["GZIP", "ZSTD", "NONE"]);
        constraints.required("tableCreationParameters", self.table_creation_parameters.is_some());
        if let Some(parameters) = &self.table_creation_parameters {
            let path = "tableCreationParameters.tableName";
            match &parameters.table_name {
                Some(name) => constraints.name_in_full(path, name),
                None => constraints.required(path, false),
            }
            parameters.constrain("tableCreationParameters.", &mut constraints);
        }
        constraints.finish()
    }

    fn format(&self) -> Result<ImportFormat, ServiceError> {
        let csv = self.input_format_options.as_ref().and_then(|options| options.csv.as_ref());
        match (self.input_format.as_deref(), csv) {
            (Some("CSV"), csv) => Ok(ImportFormat::Csv { options: csv.map(CsvInput::options) }),
            (Some("ION"), None) => Ok(ImportFormat::Ion),
            (_, None) => Ok(ImportFormat::DynamoDbJson),
            (_, Some(_)) => Err(ServiceError::validation(
                "One or more parameter values were invalid: InputFormatOptions Csv can only be specified when \
                 InputFormat is CSV",
            )),
        }
    }
}

impl SourceInput {
    fn constrain(&self, constraints: &mut Constraints) {
        if let Some(owner) = self.owner.as_deref().filter(|owner| !is_owner(owner)) {
            let constraint = "Member must satisfy regular expression pattern: [0-9]{12}";
            constraints.value(owner, "s3BucketSource.s3BucketOwner", constraint);
        }
        let path = "s3BucketSource.s3Bucket";
        constraints.required(path, self.bucket.is_some());
        if let Some(bucket) = &self.bucket {
            if bucket.len() > BUCKET_BYTES_MAX {
                constraints.value(bucket, path, "Member must have length less than or equal to 255");
            }
            if !is_bucket(bucket) {
                let constraint = format!("Member must satisfy regular expression pattern: {BUCKET_PATTERN}");
                constraints.value(bucket, path, &constraint);
            }
        }
        if let Some(prefix) = self.key_prefix.as_deref().filter(|prefix| prefix.len() > PREFIX_BYTES_MAX) {
            let constraint = "Member must have length less than or equal to 1024";
            constraints.value(prefix, "s3BucketSource.s3KeyPrefix", constraint);
        }
    }
}

fn is_owner(text: &str) -> bool {
    text.len() == OWNER_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// [`BUCKET_PATTERN`].
fn is_bucket(name: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.len() > 1
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(byte))
}

impl CsvInput {
    fn constrain(&self, constraints: &mut Constraints) {
        if let Some(delimiter) = self.delimiter.as_deref().filter(|text| !DELIMITERS.contains(text)) {
            let constraint = r"Member must satisfy regular expression pattern: [,;:|\t ]";
            constraints.value(delimiter, "inputFormatOptions.csv.delimiter", constraint);
        }
        let path = "inputFormatOptions.csv.headerList";
        match self.header_list.as_deref() {
            Some([]) => constraints.value("[]", path, "Member must have length greater than or equal to 1"),
            Some(headers) if headers.len() > HEADERS_MAX => constraints.value(
                format_args!("[{}]", headers.join(", ")),
                path,
                "Member must have length less than or equal to 255",
            ),
            _ => {}
        }
        for (position, header) in self.header_list.iter().flatten().enumerate() {
            let path = format!("{path}.{}.member", position + 1);
            match header.len() {
                0 => constraints.value("", &path, "Member must have length greater than or equal to 1"),
                length if length > HEADER_BYTES_MAX => {
                    constraints.value(header, &path, "Member must have length less than or equal to 65536")
                }
                _ if !header.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b',') => {
                    let constraint = r"Member must satisfy regular expression pattern: [\x20-\x21\x23-\x2B\x2D-\x7E]*";
                    constraints.value(header, &path, constraint);
                }
                _ => {}
            }
        }
    }

    /// After the constraints found nothing.
    fn options(&self) -> CsvOptions {
        CsvOptions {
            delimiter: self.delimiter.as_deref().and_then(|text| text.chars().next()),
            header_list: self.header_list.clone(),
        }
    }
}
