//! `DeliveryService`: administration of waiting callbacks. The content of a callback, and its
//! address beyond the host, are never shown (I14).

use tonic::{Request, Response, Status};
use usher_proto::{
    time::{duration, timestamp},
    v1::{
        self, DeleteDeliveryRequest, DeleteDeliveryResponse, GetDeliveryRequest, GetDeliveryResponse,
        ListDeliveriesRequest, ListDeliveriesResponse, RetryDeliveryRequest, RetryDeliveryResponse,
        delivery_service_server::DeliveryService,
    },
};

use super::callbacks::{kind_on_wire, refusal};
use crate::{
    grpc::{name, page::PageRequest, status::RpcRefusal},
    notifications::{
        rules::{delivery::target, ids::DeliveryId},
        tasks::deliveries::{DeliveryBook, DeliveryError, WaitingDelivery},
    },
};

/// The implementation of `DeliveryService`.
pub(crate) struct DeliveryAdmin(pub(crate) DeliveryBook);

#[tonic::async_trait]
impl DeliveryService for DeliveryAdmin {
    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        let request = request.into_inner();
        let page = PageRequest::parse(request.page_size, &request.page_token)?;
        let tenant = name::parse_tenant_parent("parent", &request.parent)?;
        let after = page.after(|token| DeliveryId::parse(token).ok())?;
        let (list, total) = self.0.page(tenant.as_ref(), after.as_ref(), page.most_visited());
        let page = page.take(total, list.into_iter(), |shown| shown.id.to_string(), |shown| on_wire(&shown));
        Ok(Response::new(ListDeliveriesResponse {
            deliveries: page.items,
            next_page_token: page.next,
            total_size: page.total,
        }))
    }

    async fn get_delivery(
        &self,
        request: Request<GetDeliveryRequest>,
    ) -> Result<Response<GetDeliveryResponse>, Status> {
        let name = request.into_inner().name;
        let id = parse("name", &name)?;
        let found = self.0.find(&id);
        let found = found.ok_or(RpcRefusal::NotFound { kind: "delivery", name })?;
        Ok(Response::new(GetDeliveryResponse { delivery: Some(on_wire(&found)) }))
    }

    async fn retry_delivery(
        &self,
        request: Request<RetryDeliveryRequest>,
    ) -> Result<Response<RetryDeliveryResponse>, Status> {
        let name = request.into_inner().name;
        let id = parse("name", &name)?;
        self.0.retry(&id).await.map_err(|error| named(error, name))?;
        Ok(Response::new(RetryDeliveryResponse {}))
    }

    async fn delete_delivery(
        &self,
        request: Request<DeleteDeliveryRequest>,
    ) -> Result<Response<DeleteDeliveryResponse>, Status> {
        let name = request.into_inner().name;
        let id = parse("name", &name)?;
        self.0.drop_one(&id).await.map_err(|error| named(error, name))?;
        Ok(Response::new(DeleteDeliveryResponse {}))
    }
}

fn named(error: DeliveryError, name: String) -> RpcRefusal {
    match refusal(error) {
        RpcRefusal::NotFound { kind, .. } => RpcRefusal::NotFound { kind, name },
        other => other,
    }
}

fn parse(field: &str, name: &str) -> Result<DeliveryId, RpcRefusal> {
    let wrong = || RpcRefusal::field(field, "write it as `deliveries/ID`");
    DeliveryId::parse(name.strip_prefix("deliveries/").ok_or_else(wrong)?).map_err(|_| wrong())
}

fn on_wire(shown: &WaitingDelivery) -> v1::Delivery {
    let delivery = &shown.delivery;
    v1::Delivery {
        name: format!("deliveries/{}", shown.id),
        tenant: name::tenant(&delivery.meeting.tenant),
        meeting: name::meeting(&delivery.meeting),
        meeting_id: delivery.meeting.meeting.to_string(),
        server: name::server(&delivery.server),
        kind: kind_on_wire(delivery.kind).into(),
        target: target(&delivery.url),
        size_bytes: shown.size,
        accept_time: Some(timestamp(delivery.accepted_at_ms)),
        attempts: delivery.attempts,
        wait_duration: Some(duration(delivery.waited)),
        last_error: delivery.last_error.clone(),
    }
}
