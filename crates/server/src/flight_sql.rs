//! Arrow Flight SQL on the gRPC port: what ADBC and JDBC drivers speak.
//!
//! A ticket and the handle of a prepared statement are the statement's own text, so that nothing is kept between calls.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, CommandGetCatalogs, CommandGetDbSchemas,
    CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandPreparedStatementQuery,
    CommandPreparedStatementUpdate, CommandStatementIngest, CommandStatementQuery,
    CommandStatementUpdate, ProstMessageExt, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, SchemaAsIpc,
    Ticket,
};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use hesper_query::QueryError;
use hesper_query::engine::QueryOptions;
use hesper_query::sql::{CATALOG, SCHEMA, SqlEngine};
use prost::Message;
use tonic::{Request, Response, Status};

/// The kind of all tables.
const TABLE_TYPE: &str = "TABLE";

/// The service.
pub struct FlightSql {
    sql: Arc<SqlEngine>,
    info: SqlInfoData,
}

/// A stream of batches.
type Batches = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;

impl FlightSql {
    /// A service that runs statements.
    ///
    /// # Errors
    /// Never, unless Arrow refuses what is said about the server.
    pub fn new(sql: Arc<SqlEngine>) -> Result<Self, ArrowError> {
        let mut info = SqlInfoDataBuilder::new();
        info.append(SqlInfo::FlightSqlServerName, "Hesper");
        info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
        info.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
        info.append(SqlInfo::FlightSqlServerReadOnly, true);
        info.append(SqlInfo::FlightSqlServerSql, true);
        info.append(SqlInfo::FlightSqlServerSubstrait, false);
        info.append(SqlInfo::FlightSqlServerTransaction, 0);
        info.append(SqlInfo::FlightSqlServerCancel, false);
        let info = info
            .build()
            .map_err(|e| ArrowError::ExternalError(Box::new(e)))?;
        Ok(Self { sql, info })
    }

    /// What a client needs to fetch the answer to a command: its columns, and the command as its ticket.
    fn info(
        &self,
        schema: &SchemaRef,
        ticket: &impl ProstMessageExt,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let ticket = Ticket::new(ticket.as_any().encode_to_vec());
        let info = FlightInfo::new()
            .try_with_schema(schema)
            .map_err(|e| Status::internal(e.to_string()))?
            .with_endpoint(FlightEndpoint::new().with_ticket(ticket))
            .with_descriptor(request.into_inner());
        Ok(Response::new(info))
    }

    async fn run<T>(
        &self,
        statement: &[u8],
        request: &Request<T>,
    ) -> Result<Response<Batches>, Status> {
        let statement = text(statement)?;
        // Turns are shared between callers, as over HTTP.
        let caller = request.remote_addr().map(|a| a.ip().to_string());
        let options = QueryOptions {
            strict: true,
            all: false,
            caller: caller.as_deref().unwrap_or("default"),
        };
        let answer = self
            .sql
            .run(statement, options)
            .await
            .map_err(|e| status(&e))?;
        let schema = answer.schema().clone();
        let batches = answer.into_stream();
        let batches = batches.map_err(|e| FlightError::Tonic(Box::new(status(&e))));
        Ok(Response::new(encoded(schema, batches)))
    }

    async fn schema(&self, statement: &[u8]) -> Result<SchemaRef, Status> {
        let schema = self.sql.schema(text(statement)?).await;
        schema.map_err(|e| status(&e))
    }
}

fn text(statement: &[u8]) -> Result<&str, Status> {
    std::str::from_utf8(statement)
        .map_err(|_| Status::invalid_argument("the statement is not UTF-8"))
}

fn encoded(
    schema: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static,
) -> Batches {
    let encoder = FlightDataEncoderBuilder::new().with_schema(schema);
    encoder.build(batches).map_err(Status::from).boxed()
}

/// The only batch of an answer about the server.
fn one(batch: Result<RecordBatch, FlightError>) -> Result<Response<Batches>, Status> {
    let batch = batch?;
    Ok(Response::new(encoded(
        batch.schema(),
        stream::iter([Ok(batch)]),
    )))
}

fn status(error: &QueryError) -> Status {
    let message = error.to_string();
    match error {
        QueryError::Stack(_)
        | QueryError::Step(_)
        | QueryError::TooBroad { .. }
        | QueryError::Sql(_) => Status::invalid_argument(message),
        QueryError::TooMuch(_) | QueryError::SqlMemory { .. } => {
            Status::resource_exhausted(message)
        }
        QueryError::Busy { .. } | QueryError::OutOfMemory { .. } | QueryError::Incomplete(_) => {
            Status::unavailable(message)
        }
        QueryError::Timeout { .. } => Status::deadline_exceeded(message),
        QueryError::Killed => Status::cancelled(message),
        QueryError::Plan(_) => Status::internal(message),
    }
}

fn read_only() -> Status {
    Status::invalid_argument("SQL is for reading; publish or load data instead")
}

#[tonic::async_trait]
impl FlightSqlService for FlightSql {
    type FlightService = Self;

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let schema = self.schema(query.query.as_bytes()).await?;
        let ticket = TicketStatementQuery {
            statement_handle: query.query.into(),
        };
        self.info(&schema, &ticket, request)
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.run(&ticket.statement_handle, &request).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        _: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let schema = self.schema(query.query.as_bytes()).await?;
        let options = IpcWriteOptions::default();
        let message: Result<IpcMessage, ArrowError> =
            SchemaAsIpc::new(&schema, &options).try_into();
        let IpcMessage(dataset_schema) = message.map_err(|e| Status::internal(e.to_string()))?;
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: query.query.into(),
            dataset_schema,
            // A statement has no parameters.
            parameter_schema: Bytes::new(),
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        _: ActionClosePreparedStatementRequest,
        _: Request<Action>,
    ) -> Result<(), Status> {
        Ok(())
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let schema = self.schema(&query.prepared_statement_handle).await?;
        self.info(&schema, &query, request)
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.run(&query.prepared_statement_handle, &request).await
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.info(&query.into_builder().schema(), &query, request)
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        _: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let mut catalogs = query.into_builder();
        catalogs.append(CATALOG);
        one(catalogs.build())
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.info(&query.clone().into_builder().schema(), &query, request)
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        _: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let mut schemas = query.into_builder();
        schemas.append(CATALOG, SCHEMA);
        one(schemas.build())
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.info(&query.clone().into_builder().schema(), &query, request)
    }

    async fn do_get_tables(
        &self,
        query: CommandGetTables,
        _: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let mut tables = query.into_builder();
        for (name, schema) in self.sql.tables().await {
            tables.append(CATALOG, SCHEMA, name, TABLE_TYPE, &schema)?;
        }
        one(tables.build())
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.info(&query.into_builder().schema(), &query, request)
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        _: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let mut types = query.into_builder();
        types.append(TABLE_TYPE);
        one(types.build())
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.info(
            &query.clone().into_builder(&self.info).schema(),
            &query,
            request,
        )
    }

    async fn do_get_sql_info(
        &self,
        query: CommandGetSqlInfo,
        _: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        one(query.into_builder(&self.info).build())
    }

    async fn do_put_statement_update(
        &self,
        _: CommandStatementUpdate,
        _: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(read_only())
    }

    async fn do_put_statement_ingest(
        &self,
        _: CommandStatementIngest,
        _: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(read_only())
    }

    async fn do_put_prepared_statement_update(
        &self,
        _: CommandPreparedStatementUpdate,
        _: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(read_only())
    }

    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}
